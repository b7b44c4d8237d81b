/** Why the server ends a WebSocket (docs/close-codes.md). */
export const CloseCode = {
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  INVALID_TEXT: 1007,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  RESET_CONNECTION: 4205,
  MALFORMED: 4400,
  UNAUTHORIZED: 4401,
  FORBIDDEN: 4403,
  NOT_FOUND: 4404,
  AUTHENTICATION_TIMEOUT: 4408,
  HISTORY_CHANGED: 4409,
  TOKEN_EXPIRED: 4501
} as const

/** Whether it makes sense to come back after this code; 4400 to 4499 are final. */
export function mayReconnect(code: number): boolean {
  return code < 4400 || code >= 4500
}
