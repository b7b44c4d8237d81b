import { WebSocket as NodeWebSocket } from 'ws'

/** A client's way to the server, which a test can cut: sockets end without a word, and no new one opens. */
export class Network {
  #isDown = (_url: string): boolean => false
  readonly #sockets = new Set<NodeWebSocket>()

  readonly WebSocket = this.#socketClass()

  /** Of all addresses, or of those. */
  cut(which = /^/): void {
    this.#isDown = (url) => which.test(url)
    for (const socket of this.#sockets) if (this.#isDown(socket.url)) socket.terminate()
  }

  mend(): void {
    this.#isDown = () => false
  }

  #socketClass(): typeof WebSocket {
    const network = this
    const nowhere = 'ws://127.0.0.1:9'
    class Socket extends NodeWebSocket {
      constructor(url: string | URL) {
        super(network.#isDown(String(url)) ? nowhere : url)
        network.#sockets.add(this)
        this.on('close', () => network.#sockets.delete(this))
      }
    }
    return Socket as unknown as typeof WebSocket
  }
}
