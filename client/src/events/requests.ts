import { uuidv4 } from 'lib0/random'
import { CostudioError } from '../errors.js'

interface Request {
  type: string
  payload: unknown
  resolve(answer: never): void
  reject(error: CostudioError): void
  /** Of the connection alone: it makes no sense on the next one. */
  isPassing: boolean
  /** Called before the next event is dealt with; whoever awaits the promise may come after it. */
  answered(answer: never): void
}

interface Manner<Answer> {
  /** Whether there is a connection to send it by; otherwise it waits. */
  now: boolean
  isPassing?: boolean
  answered?: ((answer: Answer) => void) | undefined
}

const MOST = 1000

/** What was asked and is not answered. It is asked again, under the same id, after a break. */
export class Requests {
  readonly #waiting = new Map<string, Request>()

  constructor(private readonly transmit: (text: string) => void) {}

  /** Rejects with CostudioError. */
  ask<Answer>(
    type: string,
    payload: unknown,
    { now, isPassing = false, answered = () => {} }: Manner<Answer>
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= MOST) {
        reject(new CostudioError('offline', `${MOST} events wait for a connection already`))
        return
      }
      const id = uuidv4()
      const request: Request = { type, payload, resolve, reject, isPassing, answered }
      this.#waiting.set(id, request)
      if (now) this.#send(id, request)
    })
  }

  askAgain(): void {
    for (const [id, request] of this.#waiting) if (!request.isPassing) this.#send(id, request)
  }

  /** An `ack`, `pong` or `error` with an id. */
  answered(id: string, type: string, payload: unknown): void {
    const request = this.#waiting.get(id)
    if (request === undefined) return
    this.#waiting.delete(id)
    if (type === 'error') {
      const { code, reason } = payload as { code: string; reason: string }
      request.reject(new CostudioError(code, reason))
    } else {
      request.answered(payload as never)
      request.resolve(payload as never)
    }
  }

  /** What belonged to the connection that has ended; with `all`, everything. */
  fail(error: CostudioError, { all }: { all: boolean }): void {
    for (const [id, request] of [...this.#waiting]) {
      if (!all && !request.isPassing) continue
      this.#waiting.delete(id)
      request.reject(error)
    }
  }

  #send(id: string, { type, payload }: Request): void {
    this.transmit(JSON.stringify({ type, id, payload }))
  }
}
