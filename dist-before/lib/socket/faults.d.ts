/**
 * What goes wrong on an open connection, and who is told. The socket itself decides nothing about it: the server
 * logs, calls the application's handlers and closes; a test client closes, and lets what listeners throw fail the test.
 */
import type { InvalidMessage } from '../subprotocol/subprotocol.ts';
/**
 * `handler`, `listener`: what the application threw, or rejected with; the connection is still open.
 * `message`: the contract does not allow it. `protocol`, `limit`: the peer broke a rule, or passed a limit.
 * `socket`: the network failed.
 */
export type FaultKind = 'handler' | 'listener' | 'message' | 'protocol' | 'limit' | 'socket';
/** Must not throw. */
export interface FaultSink {
    /** `message` is what was being handled; undefined if nothing was. */
    onFault(kind: FaultKind, error: unknown, message: unknown): void;
    onInvalidMessage(invalid: InvalidMessage): void;
    /** A full queue of messages that nobody takes was thrown away; called once for a connection. */
    onMessagesDiscarded(count: number): void;
    /** The connection has closed. */
    onClosed(): void;
}
