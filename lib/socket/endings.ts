/**
 * Those who wait for what becomes of a connection: for its close, for a signal that it is not open any more, for `drain`. Most
 * connections have nobody who does: this is made for the first.
 */
import { FST_WS_ERR_CLOSED } from '../errors.ts'
import { CloseCode } from '../protocol/constants.ts'
import { State, type Connection } from '../protocol/connection.ts'

export interface CloseInfo {
  /** Of the peer's Close; 1005 if it had none, 1006 if none came. */
  readonly code: number
  readonly reason: string
  /** Whether both Close frames have passed. */
  readonly wasClean: boolean
}

export class Endings {
  readonly #connection: Connection
  #closed: Promise<CloseInfo> | undefined
  #resolveClosed: ((info: CloseInfo) => void) | undefined
  #abort: AbortController | undefined
  /** Those who wait for `drain`. */
  #undrained: Array<() => void> = []

  constructor (connection: Connection) {
    this.#connection = connection
  }

  get closed (): Promise<CloseInfo> {
    return (this.#closed ??= this.#connection.state === State.Closed
      ? Promise.resolve(closeInfoOf(this.#connection))
      : new Promise((resolve) => { this.#resolveClosed = resolve }))
  }

  get signal (): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#connection.state !== State.Open) this.#abort.abort(closedErrorOf(this.#connection))
    }
    return this.#abort.signal
  }

  /** Resolves with the next `drain`; rejects if the connection ceases to be open before. */
  untilDrain (): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#undrained.push(() => {
        if (this.#connection.state === State.Open) resolve()
        else reject(closedErrorOf(this.#connection))
      })
      if (this.#connection.state !== State.Open) this.onDrain()
    })
  }

  onDrain (): void {
    for (const settle of this.#undrained.splice(0)) settle()
  }

  onClosing (): void {
    this.#abort?.abort(closedErrorOf(this.#connection))
    this.onDrain()
  }

  onClose (): void {
    this.#resolveClosed?.(closeInfoOf(this.#connection))
  }
}

/** Why a connection is not open any more, as those get it who wanted something of it. */
export function closedErrorOf ({ closeCode, sentCloseCode, closeReason, state }: Connection): Error {
  // Our own code is all that is known until the peer has answered, or has not.
  const code = closeCode === CloseCode.AbnormalClosure && state !== State.Closed ? sentCloseCode : closeCode
  return Object.assign(new FST_WS_ERR_CLOSED(code), { closeCode: code, reason: closeReason })
}

function closeInfoOf ({ closeCode, closeReason, wasClean }: Connection): CloseInfo {
  return { code: closeCode, reason: closeReason, wasClean }
}
