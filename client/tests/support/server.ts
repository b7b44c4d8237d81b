/** A real `costudio serve` in development mode on loopback, with a data directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, openSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SECRET } from './tokens.js'

const COSTUDIO = fileURLToPath(new URL('../../../.venv/bin/costudio', import.meta.url))
const START_MS = 30_000
const POLL_MS = 30

export class Server {
  readonly #dataDir = mkdtempSync(join(tmpdir(), 'costudio-client-'))
  #process: ChildProcess | null = null

  private constructor(
    readonly port: number,
    private readonly settings: Record<string, string>
  ) {}

  /** `settings` are environment variables for it. */
  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const server = new Server(await freePort(), settings)
    await server.start()
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Also again, after `kill`. */
  async start(): Promise<void> {
    const log = openSync(this.#log, 'a')
    const address = ['--host', '127.0.0.1', '--port', String(this.port), '--data-dir', this.#dataDir]
    const started = spawn(COSTUDIO, ['serve', '--dev', ...address], {
      env: { ...cleanEnvironment(), COSTUDIO_JWT_SECRET: SECRET, ...this.settings },
      cwd: this.#dataDir,
      stdio: ['ignore', log, log]
    })
    this.#process = started
    for (const until = Date.now() + START_MS; Date.now() < until; await pause(POLL_MS)) {
      if (started.exitCode !== null) break
      const health = await fetch(`${this.url}/api/health`).catch(() => null)
      if (health?.ok) return
    }
    throw new Error(`the server did not start\n${readFileSync(this.#log, 'utf8').slice(-4000)}`)
  }

  /** SIGKILL: what is not committed is lost. */
  async kill(): Promise<void> {
    const running = this.#process
    if (running === null || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#dataDir, { recursive: true, force: true })
  }

  get #log(): string {
    return join(this.#dataDir, 'server.log')
  }
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = ([name]: [string, string | undefined]): boolean => !/^(COSTUDIO_|DATABASE_URL|REDIS_URL)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(ours))
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
