/**
 * Be told when the browser thinks that the network comes and goes; returns what ends that. It is a hint alone: a server on
 * this machine is there without any network, so attempts go on. Outside of browsers nobody says so.
 */
export function onNetworkChange(listener: (isOnline: boolean) => void): () => void {
  if (typeof globalThis.addEventListener !== 'function') return () => {}
  const online = (): void => listener(true)
  const offline = (): void => listener(false)
  globalThis.addEventListener('online', online)
  globalThis.addEventListener('offline', offline)
  return () => {
    globalThis.removeEventListener('online', online)
    globalThis.removeEventListener('offline', offline)
  }
}
