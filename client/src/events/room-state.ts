import type { JoinAck, Present, RoleName, ServerEvent } from './types.js'

export interface RoomState {
  isJoined: boolean
  role: RoleName
  /** Everybody who is there, each once; oneself by another device. */
  members: readonly Present[]
  /** The answer to the last join; null before it. */
  ack: JoinAck | null
  /** Why the room could not be joined. */
  error: string | null
}

export const NOT_JOINED: RoomState = { isJoined: false, role: 'none', members: [], ack: null, error: null }

/** The room after an event in it; the same object where nothing changed. */
export function roomAfter(state: RoomState, event: ServerEvent): RoomState {
  switch (event.type) {
    case 'user_joined': {
      const { room: _, ...member } = event.payload as ServerEvent<'user_joined'>['payload']
      return { ...state, members: [...state.members.filter(({ user_id }) => user_id !== member.user_id), member] }
    }
    case 'user_left': {
      const { user_id } = event.payload as ServerEvent<'user_left'>['payload']
      return { ...state, members: state.members.filter((member) => member.user_id !== user_id) }
    }
    case 'presence_update': {
      const { user_id, state: now, activity = null } = event.payload as ServerEvent<'presence_update'>['payload']
      if (now === 'offline')
        return { ...state, members: state.members.filter((member) => member.user_id !== user_id) }
      return withMember(state, user_id, { state: now, activity })
    }
    case 'cursor': {
      const { user_id, cursor, place = null } = event.payload as ServerEvent<'cursor'>['payload']
      return withMember(state, user_id, { cursor, place })
    }
    case 'typing_start':
    case 'typing_stop': {
      const { user_id } = event.payload as ServerEvent<'typing_start'>['payload']
      return withMember(state, user_id, { typing: event.type === 'typing_start' })
    }
    case 'permission_changed': {
      const { role } = event.payload as ServerEvent<'permission_changed'>['payload']
      if (!role) return state
      return role === 'none' ? { ...NOT_JOINED, error: 'you have no role here any more' } : { ...state, role }
    }
    default:
      return state
  }
}

/** In `global` nobody joins: who is not there yet has just come online. */
function withMember(state: RoomState, userId: number, change: Partial<Present>): RoomState {
  const known = state.members.find(({ user_id }) => user_id === userId)
  const member: Present = { user_id: userId, name: null, state: 'online', typing: false, ...known, ...change }
  const members = known ? state.members.map((each) => (each === known ? member : each)) : [...state.members, member]
  return { ...state, members }
}
