/** What a document says, as JSON that two replicas can be compared by. Lone surrogates count as U+FFFD. */
import { inspect } from 'node:util'
import * as Y from 'yjs'

export const contents = doc => ({
  text: plain(doc.getText('text').toDelta()),
  map: plain(doc.getMap('map')),
  array: plain(doc.getArray('array')),
  xml: plain(doc.getXmlFragment('xml'))
})

/** The same as text, so that the order of keys counts (of plain objects; replicas order shared maps as they like). */
export const exact = doc => JSON.stringify({
  ...contents(doc),
  markup: doc.getXmlFragment('xml').toString().toWellFormed(),
  state: ids(doc).state
})

const sorted = entries => Object.fromEntries([...entries].sort())

const plain = value => {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'bigint') return { bigint: String(value) }
  if (value === undefined) return { undefined: true }
  if (Object.is(value, -0) || (typeof value === 'number' && !Number.isFinite(value))) return { number: inspect(value) }
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (value instanceof Y.Doc) return { guid: value.guid, meta: plain(value.meta), options: plain(value._item.content.opts) }
  if (value instanceof Y.XmlElement) {
    const attributes = sorted(Object.entries(value.getAttributes()))
    return { name: value.nodeName, attributes: plain(attributes), children: value.toArray().map(plain) }
  }
  if (value instanceof Y.XmlFragment) return value.toArray().map(plain)
  if (value instanceof Y.Text) return { text: plain(value.toDelta()) }
  if (value instanceof Y.Map) return plain(sorted(value.entries()))
  if (value instanceof Y.Array) return value.toArray().map(plain)
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key.toWellFormed(), plain(held)]))
}

/** What it holds beneath: its state and its deletions, in canonical order. */
export const ids = doc => {
  const { sv, ds } = Y.snapshot(doc)
  const byClient = entries => [...entries].sort(([a], [b]) => a - b)
  return {
    state: byClient(sv),
    deletes: byClient(ds.clients).map(([client, items]) => [client, items.map(({ clock, len }) => [clock, len])])
  }
}
