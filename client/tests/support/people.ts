import { inspect } from 'node:util'
import { inject, onTestFinished } from 'vitest'
import type { Doc } from 'yjs'
import { WebSocket as NodeWebSocket } from 'ws'
import { CostudioClient, type CostudioOptions, type Live, type OpenFile } from '../../src/index.js'
import { mint } from './tokens.js'

export const Socket = NodeWebSocket as unknown as typeof WebSocket

/** A client of this user, closed at the end of the test. */
export function clientOf(user: string, options: Partial<CostudioOptions> = {}): CostudioClient {
  const client = new CostudioClient({ url: inject('url'), token: () => mint(user), WebSocket: Socket, ...options })
  onTestFinished(() => client.close())
  return client
}

/** The first value for which `look` finds something. */
export function when<Value, Found>(
  live: Live<Value>,
  look: (value: Value) => Found
): Promise<Exclude<Found, null | undefined | false>> {
  return new Promise((resolve, reject) => {
    const check = (): void => {
      const found = look(live.current)
      if (found === false || found === null || found === undefined) return
      stop()
      clearTimeout(timer)
      resolve(found as Exclude<Found, null | undefined | false>)
    }
    const timer = setTimeout(() => {
      stop()
      reject(new Error(`not within 10 s: ${look}\nit is ${inspect(live.current, { depth: 3 })}`))
    }, 10_000)
    const stop = live.subscribe(check)
    check()
  })
}

/** Resolves when the file's text is this. */
export function whenText(file: OpenFile, text: string): Promise<unknown> {
  return when(
    { current: file, subscribe: (listener) => onUpdate(file.doc, listener) },
    () => file.text.toString() === text
  )
}

function onUpdate(doc: Doc, listener: () => void): () => void {
  doc.on('update', listener)
  return () => doc.off('update', listener)
}

let lastNumber = Math.floor(Math.random() * 1e9)

/** Of a workspace or chat that no other test has. */
export function freshNumber(): number {
  return ++lastNumber
}
