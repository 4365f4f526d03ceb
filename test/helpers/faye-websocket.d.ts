/** What the tests use of faye-websocket, which has no types of its own. */
declare module 'faye-websocket' {
  import type { EventEmitter } from 'node:events'

  /** Events are objects: `message` has `data`, `close` has `code`. */
  interface Client extends EventEmitter {
    send (data: string | Buffer): boolean
    close (code?: number, reason?: string): boolean
  }

  const faye: { readonly Client: new (url: string) => Client }
  export default faye
}
