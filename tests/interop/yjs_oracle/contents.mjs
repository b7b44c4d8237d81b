/** What a document says, as JSON that two replicas can be compared by. Lone surrogates count as U+FFFD. */
import * as Y from 'yjs'

export const contents = doc => ({
  text: plain(doc.getText('text').toDelta()),
  map: plain(doc.getMap('map')),
  array: plain(doc.getArray('array')),
  xml: plain(doc.getXmlFragment('xml'))
})

const plain = value => {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'bigint') return { bigint: String(value) }
  if (value === undefined) return { undefined: true }
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (value instanceof Y.Doc) return { guid: value.guid, meta: plain(value.meta) }
  if (value instanceof Y.XmlElement) {
    return { name: value.nodeName, attributes: plain(value.getAttributes()), children: value.toArray().map(plain) }
  }
  if (value instanceof Y.XmlFragment) return value.toArray().map(plain)
  if (value instanceof Y.Text) return { text: plain(value.toDelta()) }
  if (value instanceof Y.Map) return plain(Object.fromEntries([...value.entries()].sort()))
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
