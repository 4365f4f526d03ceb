import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Prepared } from '../subprotocol/prepared.ts'

// SKELETON: signatures only, bodies follow.
export interface SendOptions { compress?: boolean, binary?: boolean, fin?: boolean }
export type SendCallback = (error?: Error | null) => void
export interface CloseInfo { readonly code: number, readonly reason: string, readonly wasClean: boolean }
/** Augment it to type `socket.data`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface SocketData {}

export declare class WebSocket<Protocol extends string = string, Receive = unknown, Send = unknown, AnyReceive = Receive>
  extends EventEmitter implements AsyncIterable<Receive>, AsyncDisposable {
  readonly protocol: Protocol
  readonly extensions: string
  readonly url: string
  readonly readyState: number
  readonly bufferedAmount: number
  readonly writableNeedDrain: boolean
  readonly isPaused: boolean
  readonly data: SocketData
  readonly closed: Promise<CloseInfo>
  readonly signal: AbortSignal
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments'
  send (message: Send | Prepared<Send>, options?: SendOptions | SendCallback, callback?: SendCallback): boolean
  sendRaw (data: string | ArrayBufferView): boolean
  next (options?: { signal?: AbortSignal }): Promise<Receive>
  drained (): Promise<void>
  stream (): Duplex
  close (code?: number, reason?: string): void
  terminate (): void
  ping (data?: string | ArrayBufferView | ArrayBuffer | number): void
  pong (data?: string | ArrayBufferView | ArrayBuffer | number): void
  pause (): void
  resume (): void
  override on (event: 'message', listener: (message: Receive, isBinary: boolean) => void): this
  override on (event: 'message', listener: (message: AnyReceive, isBinary: boolean) => void): this
  override on (event: 'close', listener: (code: number, reason: Buffer) => void): this
  override on (event: 'open' | 'drain', listener: () => void): this
  override on (event: 'ping' | 'pong', listener: (payload: Buffer) => void): this
  override on (event: 'error', listener: (error: Error) => void): this
  [Symbol.asyncIterator] (): AsyncIterableIterator<Receive>
  [Symbol.asyncDispose] (): Promise<void>
}
