import assert from 'node:assert/strict'
import { isGone, open, say, sees, tickIs } from './steps.mjs'

/** Messages and how far they get, typing, replies, mentions, notifications, search. */
export async function chatting({ alice, bob, bobContext }) {
  await open(bob, 'Chat') // closed
  await open(alice, 'Chat')
  await bobContext.setOffline(true)
  await sees(bob, '.connection', 'Offline')
  await say(alice, 'Build 118 is up')
  await tickIs(alice, 'Build 118', 'Sent')
  await bobContext.setOffline(false)
  await tickIs(alice, 'Build 118', 'Delivered')
  await bob.locator('.rail .badge', { hasText: '1' }).waitFor()
  await open(bob, 'Chat')
  await sees(bob, '.message', 'Build 118 is up')
  await tickIs(alice, 'Build 118', /^Read by bob/)
  await isGone(bob, '.rail .badge')

  await bob.getByRole('textbox', { name: 'Message general' }).pressSequentially('On it')
  await sees(alice, '.typing-line', 'bob is typing')
  await bob.locator('.message', { hasText: 'Build 118' }).hover()
  await bob.getByRole('button', { name: 'Reply' }).click()
  await bob.keyboard.press('Enter')
  await sees(alice, '.message-quote', 'Build 118 is up')

  // A mention, completed by the keyboard, reaches bob in another chat.
  await bob.getByRole('button', { name: /^Chat general/ }).click()
  await bob.getByRole('menuitem', { name: 'builds' }).click()
  await alice.getByRole('textbox', { name: 'Message general' }).pressSequentially('Thanks @b')
  await alice.getByRole('option', { name: 'bob' }).waitFor()
  await alice.keyboard.press('Tab')
  await alice.keyboard.press('Enter')
  await sees(alice, '.mention', '@bob')
  await bob.getByRole('button', { name: /^Notifications, \d+ unread/ }).click()
  await bob.getByRole('button', { name: /alice mentioned you/ }).click()
  await sees(bob, '.mention', '@bob')

  await alice.getByRole('button', { name: 'Search messages' }).click()
  await alice.getByRole('searchbox', { name: 'Search messages' }).fill('buil')
  await sees(alice, '.found-message', 'Build 118 is up')
  await alice.keyboard.press('Escape')
  await sees(alice, '.message', 'On it')
  assert.equal(await alice.locator('.message').count(), 3)
}
