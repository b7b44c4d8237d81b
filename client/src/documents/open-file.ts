import type * as Y from 'yjs'
import type { EventsClient } from '../events/events-client.js'
import { OpenDocument } from './open-document.js'
import type { SessionParts } from './session.js'

/** A file of a workspace; its text is the root `content`. */
export class OpenFile extends OpenDocument {
  constructor(
    readonly workspace: number,
    readonly fileId: string,
    parts: Omit<SessionParts, 'changed' | 'replaced'>,
    events: EventsClient,
    close: () => void
  ) {
    super(`workspace:${workspace}/${fileId}`, parts, events, true, close)
  }

  get text(): Y.Text {
    return this.doc.getText('content')
  }
}
