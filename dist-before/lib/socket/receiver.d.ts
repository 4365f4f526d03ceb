/**
 * The receiving half of a WebSocket: what the connection tells becomes messages for whoever takes them, and events.
 *
 * Messages are decoded and validated when they are handed over, in order. Until somebody takes them they wait in
 * a bounded queue; only when it is full does reading pause. There is one taker at a time: `message` listeners, an
 * iteration, calls of `next`, or a stream.
 */
import type { EventEmitter } from 'node:events';
import { type Connection, type ConnectionHandler } from '../protocol/connection.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { type Subprotocol } from '../subprotocol/subprotocol.ts';
import type { FaultSink } from './faults.ts';
import type { Watch } from './watch.ts';
export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'fragments';
/** Who takes messages, other than `message` listeners; named as in errors. */
export type Taker = 'an iteration' | 'next()' | 'a stream';
export interface ReceiverLimits {
    /** Bytes of waiting messages at which the queue is full; one message fits always. */
    readonly queueBytes: number;
    /** What a full queue does: `pause` stops reading until it is half empty, `fail` fails the connection. */
    readonly whenFull: 'pause' | 'fail';
}
export interface CloseInfo {
    /** Of the peer's Close; 1005 if it had none, 1006 if none came. */
    readonly code: number;
    readonly reason: string;
    /** Whether both Close frames have passed. */
    readonly wasClean: boolean;
}
/** What a taker gets when no message will come any more. */
export declare const END: unique symbol;
export interface Waiter {
    /** Whether it ends as soon as the connection is not open; else only when it has closed. */
    readonly endsWhenClosing: boolean;
    /** Whether it takes the messages of a raw connection as octets, text and binary alike. */
    readonly asOctets?: boolean;
    /** Gets a message, or END. */
    settle(message: unknown): void;
}
export declare class Receiver implements ConnectionHandler {
    #private;
    /** The socket, set by it; what happens is emitted there. */
    emitter: EventEmitter;
    binaryType: BinaryType;
    /** Hears of pongs; set by whoever wires the connection. */
    watch: Watch | undefined;
    /** Called when the connection ceases to be open, and never again. */
    onClosingOnce: (() => void) | undefined;
    constructor(connection: Connection, subprotocol: Subprotocol, limits: ReceiverLimits, faults: FaultSink);
    get isPaused(): boolean;
    get closed(): Promise<CloseInfo>;
    get signal(): AbortSignal;
    closedError(): Error;
    /** To be called before the first byte is read. */
    opened(): void;
    handlerSettled(): void;
    pause(): void;
    resume(): void;
    /** Throws if messages go elsewhere; to be called before a `message` listener is added. */
    assertFreeForListeners(): void;
    /** A `message` listener was added: what waits is for it, on the next tick. */
    listenerAdded(): void;
    acquire(taker: Taker): void;
    release(): void;
    /** A call of `next` is settled; the last of them gives the place free. */
    releaseNext(): void;
    /** The next message for the taker, now or when it comes: `settle` gets it, or END. */
    take(waiter: Waiter): void;
    /** Whether the waiter was still waiting. */
    forget(waiter: Waiter): boolean;
    onMessage(data: string | Buffer, isBinary: boolean): void;
    onPing(payload: Buffer): void;
    onPong(payload: Buffer): void;
    onDrain(): void;
    onClosing(): void;
    onError(error: ProtocolError): void;
    onSocketError(error: Error): void;
    onClose(code: number, reason: string): void;
    /** A promise that a listener returned was rejected. */
    onListenerRejection(error: unknown, message: unknown): void;
    /** Reports a fault of the connection; `error` is emitted for those who listen, and for nobody else. */
    fault(kind: 'protocol' | 'limit' | 'socket', error: Error): void;
}
