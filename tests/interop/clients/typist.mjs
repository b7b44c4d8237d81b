/** A client that keeps typing: tokens such as `[alice17]` at seeded random places, and now and then takes one out. */

// Mulberry32: a test that fails says its seed, and the same seed types the same.
function randomFrom (seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export class Typist {
  #client
  #name
  #random
  #timer
  #typed = [] // {token, insertion, deletion}: the last two as in Confirmations.edits

  constructor (client, { name, seed }) {
    this.#client = client
    this.#name = name
    this.#random = randomFrom(seed)
  }

  start (intervalMs) {
    this.#timer = setInterval(() => this.#type(), intervalMs)
  }

  stop () {
    clearInterval(this.#timer)
  }

  /** Every token ever typed: whether it was taken out again, and which of the two the server has confirmed. */
  get typed () {
    const { confirmations } = this.#client
    return this.#typed.map(({ token, insertion, deletion }) => ({
      token,
      is_deleted: deletion !== null,
      is_insertion_confirmed: confirmations.isConfirmed(insertion),
      is_deletion_confirmed: deletion !== null && confirmations.isConfirmed(deletion)
    }))
  }

  #type () {
    const text = this.#client.text
    const victim = this.#typed[Math.floor(this.#random() * this.#typed.length)]
    if (this.#random() < 0.2 && victim?.deletion === null) {
      victim.deletion = this.#edit(() => this.#client.delete(text.indexOf(victim.token), victim.token.length))
      return
    }
    const token = `[${this.#name}${this.#typed.length}]`
    // Between tokens, never in one. From a random point on, the next end of a token; the very start if there is none.
    const index = text.indexOf(']', Math.floor(this.#random() * text.length)) + 1
    this.#typed.push({ token, insertion: this.#edit(() => this.#client.insert(index, token)), deletion: null })
  }

  #edit (change) {
    change()
    return this.#client.confirmations.edits.at(-1)
  }
}
