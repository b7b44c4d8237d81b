import type { TokenSource } from '../connecting/token-source.js'
import { CostudioError } from '../errors.js'

export interface RequestOptions {
  query?: Record<string, string | number | boolean | null | undefined>
  /** Sent as JSON, but texts and bytes as they are. */
  body?: unknown
  headers?: Record<string, string>
}

/** Asks the server. Rejects with CostudioError: with the server's code, or `offline` where there was no answer. */
export class Http {
  /** `base` ends before `/api`. */
  constructor(
    private readonly base: string,
    private readonly tokens: TokenSource,
    private readonly fetch: typeof globalThis.fetch
  ) {}

  /** The answer's JSON; undefined if it has no body. */
  async json<Answer>(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const response = await this.request(method, path, options)
    return (response.status === 204 ? undefined : await response.json()) as Answer
  }

  /** The answer itself, if it is one of success. A token that is refused may have ended: another one is asked for, once. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    let response = await this.#ask(method, path, options)
    if (response.status === 401) {
      this.tokens.forget()
      response = await this.#ask(method, path, options)
    }
    if (!response.ok) throw await refusal(response)
    return response
  }

  async #ask(method: string, path: string, { query = {}, body, headers = {} }: RequestOptions): Promise<Response> {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined)
    const search =
      given.length === 0 ? '' : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`
    const isRaw = typeof body === 'string' || body instanceof Uint8Array
    const init: RequestInit = { method, headers: { Authorization: `Bearer ${await this.tokens.get()}`, ...headers } }
    if (body !== undefined) {
      init.body = isRaw ? (body as BodyInit) : JSON.stringify(body)
      init.headers = { 'Content-Type': isRaw ? 'application/octet-stream' : 'application/json', ...init.headers }
    }
    const { fetch } = this // called without `this`, as browsers want it
    try {
      return await fetch(`${this.base}/api${path}${search}`, init)
    } catch (error) {
      throw new CostudioError('offline', 'the server can’t be reached', null, error)
    }
  }
}

/** A path of a URL whose parts hold anything: slashes in a part stay slashes. */
export function urlPath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}

async function refusal(response: Response): Promise<CostudioError> {
  const text = await response.text()
  let error: { code?: string; reason?: string; details?: unknown } = {}
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error ?? {}
  } catch {
    // A proxy's page: the status alone has to do.
  }
  const reason = error.reason ?? `the server answered ${response.status}`
  return new CostudioError(error.code ?? `http_${response.status}`, reason, response.status, error.details ?? null)
}
