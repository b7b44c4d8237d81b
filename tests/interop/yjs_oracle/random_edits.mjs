/** Seeded random edits of every kind that a Yjs document knows. */
import * as Y from 'yjs'

const WORDS = ['a', 'bc', 'd e', 'é', '漢字', '\ufffd', '\ufeff', '\n', 'x'.repeat(200)]
const ASTRAL = ['😀', '🐀', '👍🏽', '👨‍👩‍👧', '𝕏𝕐', 'e\u0301😀', '🇺🇸']
const HALVES = ['\ud83d', '\ude00', '\ude01', 'a\ud83d', '\udc00b']
const KEYS = ['k', 'ключ', 'key 3']

/** Values that JSON keeps: for embeds and formats, of which other clients see what JSON makes of them. */
const ODD_JSON = [
  0.1, 0.1 + 0.2, -1.5e-7, 1e300, 1e21, 1e20, -1e20, 2 ** 60, '\u2028"\\', [{ b: 1, a: 2 }, 1.25],
  { width: 0.1, src: 'x', alt: '😀' }, { z: 1, y: { x: 1.5, w: [1e21, 5e-324, null], '-0': '' }, a: null, 10: 1, 2: 2 },
  { href: 'https://é', target: '_blank', n: [{ d: 0, c: { b: 0, a: 0 } }] }, { 0: 1, bytes: { 1: 2, 0: 3 }, ' ': {} }
]
const ODD = [
  ...ODD_JSON, -0, NaN, Infinity, -Infinity, 2 ** 53 + 2, -(2 ** 31), 3.5, -64, -128,
  { b: -0, a: undefined, c: [0.1, { z: 1, y: 5n }] }, [undefined, -0, [[], { b: new Uint8Array([1]), a: NaN }]],
  { bytes: new Uint8Array([0, 255]), when: 5n, a: { c: 1, b: 2 } }, { only: -0 }, { only: { b: 0, a: 0 } }, {}
]
const ODD_BY_KEY = [5n, -(2n ** 63n), undefined] // Y.Array refuses them

/** mulberry32: a 32-bit seed -> () => [0, 1). */
export const generator = seed => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/**
 * One author. `mode`: 'safe' never cuts a surrogate pair, 'split' cuts them gladly. 'wild' does what makes an author's
 * own Yjs show something that no update says: it types halves one by one (the author alone sees them join), and
 * begins and ends formats within a pair (without effect otherwise, the author's string alone is split).
 * `roots`: which of 'text', 'map', 'array', 'xml' it edits; 'subdocuments' nests some, 'odd values' puts everywhere
 * values that a codec may trip over.
 */
export class Author {
  constructor (doc, random, mode, roots) {
    Object.assign(this, { doc, random, mode })
    this.roots = roots.filter(root => root !== 'subdocuments' && root !== 'odd values')
    this.hasSubdocuments = roots.includes('subdocuments')
    this.hasOddValues = roots.includes('odd values')
    this.undo = new Y.UndoManager([doc.getText('text')], { captureTimeout: 0 })
  }

  int (limit) { return Math.floor(this.random() * limit) }
  pick (values) { return values[this.int(values.length)] }

  edit () {
    const root = this.pick(this.roots)
    this.doc.transact(() => {
      for (let count = 1 + this.int(3); count > 0; count--) this[root]()
    }, this.random() < 0.5 ? this.undo : null)
    if (this.random() < 0.06) this.undo.undo()
    if (this.random() < 0.04) this.undo.redo()
  }

  text () { this.editText(this.doc.getText('text')) }

  editText (text) {
    const content = [...text.toDelta()].map(op => typeof op.insert === 'string' ? op.insert : '*').join('')
    const at = this.index(content)
    const kind = this.random()
    if (kind < 0.5) {
      text.insert(at, this.string(), this.random() < 0.15 ? this.attributes() : undefined)
    } else if (kind < 0.75) {
      text.delete(at, this.span(content, at))
    } else if (kind < 0.85) {
      const [from, to] = [at, at + this.span(content, at)].map(index => this.align(content, index, 'wild'))
      text.format(from, to - from, this.attributes())
    } else if (kind < 0.9) {
      const embed = this.hasOddValues ? this.pick(ODD_JSON) : { image: '😀', width: 1.5 }
      text.insertEmbed(at, this.random() < 0.5 ? embed : new Y.Map([['in', 'embed']]))
    } else {
      this.turnInto(text, content)
    }
  }

  /** What an editor does that compares strings unit by unit: the common ends stay, the middle is exchanged. */
  turnInto (text, content) {
    const old = this.pick(ASTRAL)
    const at = content.indexOf(old)
    if (at < 0 || this.mode === 'safe') return
    const wanted = this.pick(ASTRAL)
    let start = 0
    while (start < Math.min(old.length, wanted.length) && old[start] === wanted[start]) start++
    let end = 0
    while (end < Math.min(old.length, wanted.length) - start && old.at(-1 - end) === wanted.at(-1 - end)) end++
    text.delete(at + start, old.length - start - end)
    text.insert(at + start, wanted.slice(start, wanted.length - end))
  }

  index (content) { return this.align(content, this.int(content.length + 1), 'split', 'wild') }

  span (content, at) { return this.align(content, Math.min(content.length, at + 1 + this.int(6)), 'split', 'wild') - at }

  /** The index, or the one before if it is inside a pair and this mode does not cut there. */
  align (content, index, ...cuttingModes) {
    const isInside = /[\udc00-\udfff]/.test(content[index] ?? '') && /[\ud800-\udbff]/.test(content[index - 1] ?? '')
    return isInside && !cuttingModes.includes(this.mode) ? index - 1 : index
  }

  string () {
    const alphabet = this.mode === 'wild' ? [WORDS, ASTRAL, HALVES] : [WORDS, ASTRAL]
    let out = ''
    for (let count = 1 + this.int(3); count > 0; count--) out += this.pick(this.pick(alphabet))
    return out
  }

  attributes () {
    const values = [true, null, '😀', { href: 'x', n: [1, 2] }]
    return { [this.pick(['bold', 'link'])]: this.pick(this.hasOddValues ? [...values, ...ODD_JSON] : values) }
  }

  value () {
    if (this.hasOddValues && this.random() < 0.6) return this.pick(ODD)
    return this.pick([
      null, true, false, 0, -1, 1.5, 2 ** 40, -(2 ** 53) + 1, { big: 123456789012345678n }, 'text', this.string().toWellFormed(),
      { b: 1, a: { c: [null, 'é', {}] } }, [], [1, [2, [3]]], new Uint8Array([0, 255, 128])
    ])
  }

  valueByKey () { return this.hasOddValues && this.random() < 0.2 ? this.pick(ODD_BY_KEY) : this.value() }

  type () {
    if (this.hasOddValues && this.hasSubdocuments && this.random() < 0.2) return this.subdocument()
    const kind = this.random()
    if (kind < 0.3) return new Y.Text(this.mode === 'wild' ? 'in 😀' : this.string().toWellFormed())
    if (kind < 0.6) return new Y.Map([[this.pick(KEYS), this.value()], ['inner', new Y.Array()]])
    if (kind < 0.9) return Y.Array.from([this.value(), this.value()])
    return this.hasSubdocuments ? new Y.Doc({ meta: { owner: 'é', n: [1] }, autoLoad: true }) : new Y.Text('t')
  }

  subdocument () {
    const guid = this.pick(['é 😀', String(this.random())])
    return new Y.Doc({ guid, meta: this.pick([null, ...ODD]), autoLoad: this.random() < 0.5, gc: this.random() < 0.5 })
  }

  map () {
    const map = this.doc.getMap('map')
    const key = this.pick(KEYS)
    const held = map.get(key)
    const kind = this.random()
    if (kind < 0.2) map.delete(key)
    else if (kind < 0.6 || held === undefined) map.set(key, this.random() < 0.5 ? this.valueByKey() : this.type())
    else if (held instanceof Y.Text) this.editText(held)
    else if (held instanceof Y.Map) held.set(this.pick(KEYS), this.value())
    else if (held instanceof Y.Array) held.insert(this.int(held.length + 1), [this.value(), this.type()])
    else map.set(key, this.value())
  }

  array () {
    const array = this.doc.getArray('array')
    const at = this.int(array.length + 1)
    const kind = this.random()
    if (kind < 0.6) {
      array.insert(at, Array.from({ length: 1 + this.int(4) }, () => this.random() < 0.8 ? this.value() : this.type()))
    } else if (at < array.length) {
      const held = array.get(at)
      if (held instanceof Y.Text && kind < 0.8) this.editText(held)
      else array.delete(at, Math.min(array.length - at, 1 + this.int(3)))
    }
  }

  xml () {
    const fragment = this.doc.getXmlFragment('xml')
    const at = this.int(fragment.length + 1)
    const held = at < fragment.length ? fragment.get(at) : null
    const kind = this.random()
    if (held === null || kind < 0.3) {
      const element = new Y.XmlElement(this.pick(['p', 'heading']))
      element.insert(0, [new Y.XmlText(this.string().toWellFormed())])
      fragment.insert(at, [element])
    } else if (kind < 0.4) fragment.delete(at, 1)
    else if (kind < 0.6) held.setAttribute(this.pick(['id', 'class']), this.hasOddValues ? this.value() : this.string().toWellFormed())
    else if (held.length) this.editText(held.get(0))
  }
}
