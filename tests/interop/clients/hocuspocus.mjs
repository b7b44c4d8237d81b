/**
 * Stock Hocuspocus providers in one scenario: `node hocuspocus.mjs SCENARIO URL NAME TOKEN`. Exits with 0 if all
 * came true, else with what did not on stderr.
 */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { HocuspocusProvider as Provider4, HocuspocusProviderWebsocket as Socket4 } from '@hocuspocus/provider'
import { HocuspocusProvider as Provider2, HocuspocusProviderWebsocket as Socket2 } from '@hocuspocus/provider-2'
import { HocuspocusProvider as Provider3, HocuspocusProviderWebsocket as Socket3 } from '@hocuspocus/provider-3'
import { WebSocket } from 'ws'
import * as Y from 'yjs'

const [scenario, url, name, token] = process.argv.slice(2)
const RELEASES = [[Provider2, Socket2], [Provider3, Socket3], [Provider4, Socket4]]

async function until (holds, what) {
  const deadline = Date.now() + 15_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function connect (documentName, [Provider, Socket] = RELEASES[2], options = {}, websocketProvider = openSocket(Socket)) {
  const provider = new Provider({ websocketProvider, name: documentName, document: new Y.Doc(), token, ...options })
  provider.attach?.() // 2 and 4; idempotent
  return provider
}

function openSocket (Socket = Socket4) {
  return new Socket({ url, WebSocketPolyfill: WebSocket, delay: 50, minDelay: 50, maxDelay: 200 })
}

const text = (provider) => provider.document.getText('content')
const read = (provider) => text(provider).toString()
const isSaved = (provider) => provider.isSynced && provider.unsyncedChanges === 0

const scenarios = {
  async releases () {
    const providers = RELEASES.map((release) => connect(name, release))
    await until(() => providers.every(isSaved), 'all are synced')
    let expected = ''
    for (const provider of providers) {
      text(provider).insert(0, `${expected.length},`)
      expected = read(provider)
      await until(() => providers.every((each) => read(each) === expected), `all read ${expected}`)
      await until(() => isSaved(provider), `saved, not ${provider.unsyncedChanges}`)
    }
    for (const provider of providers) provider.awareness.setLocalStateField('at', 1)
    await until(() => providers.every((each) => each.awareness.getStates().size === 3), 'all see all')
    const heard = []
    providers[0].on('stateless', ({ payload }) => heard.push(payload))
    providers[2].sendStateless('hello')
    await until(() => heard.length === 1, 'a stateless message')
    assert.deepEqual(heard, ['hello'])
    providers[2].forceSync()
    await until(() => isSaved(providers[2]), 'saved after a forced sync')
    providers[1].destroy()
    await until(() => providers[0].awareness.getStates().size === 2, 'one is gone')
  },

  async hundred () {
    const socket = openSocket()
    const providers = Array.from({ length: 100 }, (_, index) => connect(`${name}/${index}`, RELEASES[2], {}, socket))
    for (const [index, provider] of providers.entries()) text(provider).insert(0, `n${index}`)
    await until(() => providers.every(isSaved), 'a hundred are saved')
    const [one, other] = [1, 2].map(() => connect(`${name}/7`, RELEASES[2], { sessionAwareness: true }, socket))
    await until(() => [one, other].every((each) => read(each) === 'n7'), 'two sessions of one')
    one.destroy()
    text(other).insert(0, 'still ')
    await until(() => read(providers[7]) === 'still n7', 'the other session goes on')
  },

  async denied () {
    const reasons = []
    const provider = connect(name, RELEASES[2], {
      token: 'no token', onAuthenticationFailed: ({ reason }) => reasons.push(reason)
    })
    await until(() => reasons.length === 1, 'denied')
    assert.equal(provider.isSynced, false)
  },

  /** Types until the server has gone and come back, at each line on stdin one letter; says what is saved. */
  async typist () {
    const provider = connect(name)
    provider.on('unsyncedChanges', ({ number }) => { if (number === 0) console.log(`saved ${read(provider).length}`) })
    await until(() => isSaved(provider), 'synced')
    for await (const line of createInterface({ input: process.stdin })) text(provider).insert(read(provider).length, line)
    await until(() => isSaved(provider), 'saved in the end')
    console.log(`text ${read(provider)}`)
  },

  async tiptap () {
    const { JSDOM } = await import('jsdom')
    const dom = new JSDOM('<!doctype html><body></body>')
    for (const key of ['document', 'Node', 'Element', 'HTMLElement', 'MutationObserver', 'DOMParser', 'Selection', 'Range',
      'getComputedStyle', 'DocumentFragment', 'Text', 'XMLSerializer']) globalThis[key] = dom.window[key]
    globalThis.window = dom.window
    globalThis.navigator ??= dom.window.navigator
    globalThis.requestAnimationFrame ??= (act) => setTimeout(act, 0)
    globalThis.cancelAnimationFrame ??= clearTimeout
    dom.window.Range.prototype.getClientRects = () => []
    const { Editor } = await import('@tiptap/core')
    const { default: StarterKit } = await import('@tiptap/starter-kit')
    const { default: Collaboration } = await import('@tiptap/extension-collaboration')
    const providers = [connect(name), connect(name)]
    await until(() => providers.every(isSaved), 'synced')
    const editors = providers.map(({ document }) => new Editor({
      element: dom.window.document.createElement('div'),
      extensions: [StarterKit.configure({ undoRedo: false }), Collaboration.configure({ document })]
    }))
    editors[0].commands.setContent('<h1>Title</h1><p>some <strong>bold</strong> text</p>')
    await until(() => editors[1].getHTML() === editors[0].getHTML(), 'both editors show the same')
    editors[1].commands.insertContentAt(1, 'The ')
    await until(() => editors[0].getText().startsWith('The Title'), 'the first shows the second\'s edit')
    await until(() => providers.every(isSaved), 'saved')
  }
}

await scenarios[scenario]()
process.exit(0)
