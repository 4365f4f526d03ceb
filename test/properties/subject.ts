/**
 * A connection under test: what it tells, what it sends, and where it stands, in a form that can be compared.
 */
import type { Buffer } from 'node:buffer'
import { State, type Connection } from '../../lib/protocol/connection.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { readFrames } from '../helpers/frames.ts'
import { connect, Recorder, takeOutput, type ConnectionSettings } from '../helpers/pair.ts'

export const ROLES: readonly Role[] = ['server', 'client']

/** A turn ends after 5 ms, which a busy machine would make of anything: the clock is held still. */
export function holdClock (): void {
  const now = performance.now()
  performance.now = () => now
}

/** Payloads of control frames octet by octet. */
export class ExactRecorder extends Recorder {
  override onPing (payload: Buffer): void { this.events.push(`ping ${payload.toString('hex')}`) }
  override onPong (payload: Buffer): void { this.events.push(`pong ${payload.toString('hex')}`) }
}

export function nameOf (state: number): string | undefined {
  return Object.entries(State).find(([, value]) => value === state)?.[0]
}

/** What went out since the last call, frame by frame. The keys of a client are random, so they are left out. */
export function sentBy (connection: Connection): string[] {
  return readFrames(takeOutput(connection)).map(({ opcode, fin, rsv, masked, lengthForm, payload }) =>
    `${opcode}${fin ? '' : '…'} ${rsv} ${masked ? 'masked ' : ''}${lengthForm} ${payload.toString('hex')}`)
}

/** Where it stands. */
export function standing (connection: Connection) {
  const { state, shutdown, reading, more, closeCode, closeReason, sentCloseCode, wasClean, messagesReceived, bytesReceived } = connection
  return { state: nameOf(state), shutdown, reading, more, closeCode, closeReason, sentCloseCode, wasClean, messagesReceived, bytesReceived }
}

export function subject (options: ConnectionSettings & { readonly role: Role }): { connection: Connection, recorder: ExactRecorder } {
  const { connection } = connect(options)
  const recorder = new ExactRecorder()
  connection.handler = recorder
  return { connection, recorder }
}

/** Goes on with what was kept back, as the transport does turn by turn. */
export function goOn (connection: Connection): void {
  while (connection.more) connection.continue()
}
