/** The first page: one file, edited together. Stock parts only, so it shows what any Yjs editor gets from the server. */
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { createEditor } from './editor'
import { personNamed, showPeople } from './people'
import { addressOf, currentPlace } from './place'
import './style.css'
import { TokenSource } from './token'

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T

const place = currentPlace()
const tokens = new TokenSource()
const doc = new Y.Doc()
const provider = new WebsocketProvider(
  `${location.origin.replace(/^http/, 'ws')}/ws`,
  place.room.split('/').map(encodeURIComponent).join('/'), // the provider puts it into the URL as it is
  doc,
  {
    connect: false,
    // Tabs of one browser would otherwise hand updates to each other past the server: alice and bob, side by side,
    // have to meet through it, or this page would work even where the server does not.
    disableBc: true
  }
)

// --- connecting, and what a person is told about it

let tokenHasWorked = false
let hasDropped = false
let hasUnsentEdits = false

async function connect(): Promise<void> {
  element('notice').hidden = true
  try {
    const token = await tokens.tokenFor(place.user)
    if (token === null) return askForToken('This server does not hand out tokens. Paste one to come in.')
    tokenHasWorked = false
    provider.params = { token }
    provider.connect()
  } catch (error) {
    console.warn(error)
    notify('The server can’t be reached.')
  }
}

const meanings: Record<number, string> = {
  4401: 'The server did not accept your token',
  4403: 'You may not open this file',
  4404: 'There is no such file',
  4409:
    'This file was restored or made anew, and this page still shows the old one. ' +
    'Copy what you need of it, then reload the page to see the new one'
}

provider.on('closed', ({ code, reason }) => {
  // A token that was good has run out: the development server has another.
  if (code === 4401 && tokenHasWorked && !tokens.isGiven) return void connect()
  const message = `${meanings[code] ?? `The server closed the connection (${code})`}${reason && `: ${reason}`}.`
  if (code === 4401) askForToken(message)
  else notify(message, { canRetry: code !== 4409 }) // the old text would be turned away again
})

function notify(message: string, { wantsToken = false, canRetry = true } = {}): void {
  element('notice-text').textContent = message
  element('token-form').hidden = !wantsToken
  element('retry').hidden = wantsToken || !canRetry
  element('notice').hidden = false
  showStatus()
}

function askForToken(message: string): void {
  notify(message, { wantsToken: true })
}

type State = 'connecting' | 'live' | 'offline'

function statusNow(): [State, string] {
  if (provider.synced) return ['live', 'Live']
  if (provider.wsconnected) return ['connecting', 'Syncing…']
  if (!provider.shouldConnect) return ['offline', 'Not connected, your edits are kept']
  if (hasDropped) return ['offline', 'Offline, your edits are kept']
  return ['connecting', 'Connecting…']
}

function showStatus(): void {
  const [state, text] = statusNow()
  const status = element('status')
  status.dataset['state'] = state
  if (status.textContent !== text) status.textContent = text // each change is read aloud
}

provider.on('status', showStatus)
provider.on('connection-close', () => {
  hasDropped = true
})
provider.on('sync', (isSynced) => {
  if (isSynced) {
    tokenHasWorked = true
    hasUnsentEdits = false
  }
  showStatus()
})

// 'Kept' means in this tab: closing it with edits that nobody else has is worth a question.
doc.on('update', (_update: Uint8Array, origin: unknown) => {
  if (origin !== provider && !provider.wsconnected) hasUnsentEdits = true
})
addEventListener('beforeunload', (event) => {
  if (hasUnsentEdits) event.preventDefault()
})

// --- the page

document.title = `${place.room} – Costudio`

const placeForm = element<HTMLFormElement>('place')
for (const [name, value] of Object.entries(place)) {
  const input = placeForm.elements.namedItem(name) as HTMLInputElement
  input.value = value
}
placeForm.addEventListener('submit', (event) => {
  event.preventDefault()
  const form = new FormData(placeForm)
  location.assign(addressOf({ user: String(form.get('user')), room: String(form.get('room')) }))
})

element('token-form').addEventListener('submit', (event) => {
  event.preventDefault()
  tokens.give(String(new FormData(event.target as HTMLFormElement).get('token')))
  void connect()
})
element('retry').addEventListener('click', () => void connect())

const second = element<HTMLAnchorElement>('second')
const otherUser = place.user === 'bob' ? 'alice' : 'bob'
second.href = addressOf({ ...place, user: otherUser })
second.querySelector('b')!.textContent = otherUser

provider.awareness.setLocalStateField('user', personNamed(place.user))
showPeople(element('people'), provider.awareness)
createEditor(element('editor'), doc.getText('content'), provider.awareness, place.room).focus()
void connect()
