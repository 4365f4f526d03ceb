/**
 * The WebSocket that applications see: an EventEmitter with the interface of the WHATWG standard beside it, for the
 * server and the client role alike. Sending is here; what arrives is the business of the Receiver.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { type Connection } from '../protocol/connection.ts';
import { Prepared } from '../subprotocol/prepared.ts';
import type { Subprotocol } from '../subprotocol/subprotocol.ts';
import type { Transport } from '../transport/transport.ts';
import { EventTargetEmitter } from './event-target.ts';
import type { BinaryType, CloseInfo, Receiver, ReceiverLimits } from './receiver.ts';
import { type Watch } from './watch.ts';
/** How a message is sent; `binary` and `fin` are for raw routes. */
export interface SendOptions {
    /** Whether a negotiated permessage-deflate may compress it. */
    compress?: boolean;
    /** As a binary message or as text, whatever the type of the data; text must be UTF-8. By default a string is text, all else binary. */
    binary?: boolean;
    /** False: a fragment, which later sends continue (RFC 6455 §5.4). */
    fin?: boolean;
}
/** What a ping or pong can carry; a number as its decimal text. */
export type ControlData = string | ArrayBuffer | ArrayBufferView | number;
/** Called when the message has been handed to the operating system, or with an error when it is lost. */
export type SendCallback = (error?: Error) => void;
/** `socket.data`: an empty interface to augment, as FastifyRequest is. */
export interface SocketData {
}
/** What is the same for all connections of a route. */
export interface SocketLimits extends ReceiverLimits {
    /** Unsent bytes above which `send` returns false. */
    readonly highWaterMarkBytes: number;
    /** Unsent bytes above which a further send terminates the connection. */
    readonly maxUnsentBytes: number;
}
export interface WebSocketParts {
    readonly connection: Connection;
    readonly transport: Transport;
    readonly receiver: Receiver;
    readonly watch: Watch;
    readonly subprotocol: Subprotocol;
    readonly extensions: string;
    readonly url: string;
    readonly limits: SocketLimits;
}
/**
 * One WebSocket connection.
 *
 * `Receive` and `Send` are the messages of its contract, `Protocol` the subprotocol that was agreed ('' if none);
 * `AnyReceive` is the union of what all contracts of the route receive, for listeners added before `protocol` is looked at;
 * `Heard` is what `message` listeners get, a Buffer on raw routes, where iteration gives a string for text.
 */
export declare class WebSocket<Protocol extends string = string, Receive = unknown, in Send = unknown, AnyReceive = Receive, Heard = Receive> extends EventTargetEmitter<Receive, AnyReceive> implements AsyncIterable<Receive>, AsyncDisposable {
    #private;
    static readonly CONNECTING: 0;
    static readonly OPEN: 1;
    static readonly CLOSING: 2;
    static readonly CLOSED: 3;
    get CONNECTING(): 0;
    get OPEN(): 1;
    get CLOSING(): 2;
    get CLOSED(): 3;
    /** `OPEN`, `CLOSING` as soon as either side has begun to close, `CLOSED` when the network connection has ended. */
    get readyState(): 0 | 1 | 2 | 3;
    /** The agreed subprotocol, '' if there is none. */
    get protocol(): Protocol;
    /** The agreed extensions as in `Sec-WebSocket-Extensions`, '' if there are none. */
    get extensions(): string;
    get url(): string;
    /** Bytes of messages that wait to be handed to the operating system, framing not included; what is sent after the close counts for ever. */
    get bufferedAmount(): number;
    /** Whether a `send` has returned false and `drain` has not come since. */
    get writableNeedDrain(): boolean;
    /** What binary messages of a raw route come as; 'fragments' is an array of one Buffer. */
    get binaryType(): BinaryType;
    set binaryType(type: BinaryType);
    /** Milliseconds from the last heartbeat's ping to its pong; NaN before the first. */
    get latencyMs(): number;
    /** A place for what belongs to the connection; made when first touched. */
    get data(): SocketData;
    /** Resolves when the connection has closed; never rejects. */
    get closed(): Promise<CloseInfo>;
    /** Aborts when the connection is not open any more, with FST_WS_ERR_CLOSED as its reason. */
    get signal(): AbortSignal;
    /**
     * Sends a message, or one made by `prepare`. False above `highWaterMarkBytes` of unsent bytes: `drain` says when to go
     * on. Bytes are sent from where they lie: do not change them before the callback.
     *
     * After the close it returns false, the callback gets FST_WS_ERR_CLOSED, and nothing throws. Above `maxUnsentBytes` of
     * what was waiting before, the connection is terminated. Throws FST_WS_ERR_DATA_TYPE for what cannot be sent, and
     * FST_WS_ERR_INVALID_SEND with `validateSend`.
     */
    send(message: Send | Prepared<Send>, options?: SendOptions | SendCallback, callback?: SendCallback): boolean;
    /** Sends text or binary past codec and schema. */
    sendRaw(data: string | ArrayBufferView): boolean;
    /** Resolves when `send` may go on: at once unless `writableNeedDrain`. Rejects with FST_WS_ERR_CLOSED when the connection is not open. */
    drained(): Promise<void>;
    /**
     * Starts the closing handshake; does nothing if it is under way. Throws FST_WS_ERR_CLOSE_CODE (a TypeError) for a code that
     * an endpoint may not send, and FST_WS_ERR_CLOSE_REASON (a RangeError) for a reason above 123 bytes.
     */
    close(code?: number, reason?: string): void;
    /**
     * Closes at this time, within a second: a Date, or milliseconds since 1970. A later call takes its place, null cancels.
     * Throws as `close`, and a RangeError for what is no time.
     */
    closeAt(when: Date | number | null, code?: number, reason?: string): void;
    /** Drops the connection at once, without a Close: both sides see 1006. */
    terminate(): void;
    /** Closes with 1000 and waits for the end. */
    [Symbol.asyncDispose](): Promise<void>;
    /** Sends a ping with 125 bytes at most, else FST_WS_ERR_CONTROL_PAYLOAD is thrown; after the close it does nothing. */
    ping(data?: ControlData): void;
    /** Sends a pong that nobody asked for (RFC 6455 §5.5.3). Pings are answered without it. */
    pong(data?: ControlData): void;
    /** Resolves with the next message. Rejects with FST_WS_ERR_CLOSED once the connection is not open and nothing waits. */
    next(options?: {
        signal?: AbortSignal;
    }): Promise<Receive>;
    /** Iterates until the connection has closed and all that had arrived is taken. `break` closes nothing. */
    [Symbol.asyncIterator](): AsyncIterableIterator<Receive>;
    /** The connection as a Duplex: of messages on typed routes, of bytes on raw ones. */
    stream(): Duplex;
    /** Whether `pause` holds back messages. */
    get isPaused(): boolean;
    /** Stops delivering at once, and reading: no Close or pong is seen until `resume`. */
    pause(): void;
    resume(): void;
    on(event: 'message', listener: (message: Heard, isBinary: boolean) => unknown): this;
    on(event: 'message', listener: (message: AnyReceive, isBinary: boolean) => unknown): this;
    on(event: 'close', listener: (code: number, reason: Buffer) => unknown): this;
    on(event: 'open' | 'drain', listener: () => unknown): this;
    on(event: 'ping' | 'pong', listener: (payload: Buffer) => unknown): this;
    on(event: 'error', listener: (error: Error) => unknown): this;
    on<Other extends string | symbol>(event: Exclude<Other, KnownEvent>, listener: (...args: any[]) => unknown): this;
    on(event: KnownEvent, listener: () => unknown): this;
    once(event: 'message', listener: (message: Heard, isBinary: boolean) => unknown): this;
    once(event: 'message', listener: (message: AnyReceive, isBinary: boolean) => unknown): this;
    once(event: 'close', listener: (code: number, reason: Buffer) => unknown): this;
    once(event: 'open' | 'drain', listener: () => unknown): this;
    once(event: 'ping' | 'pong', listener: (payload: Buffer) => unknown): this;
    once(event: 'error', listener: (error: Error) => unknown): this;
    once<Other extends string | symbol>(event: Exclude<Other, KnownEvent>, listener: (...args: any[]) => unknown): this;
    once(event: KnownEvent, listener: () => unknown): this;
    addListener(event: string | symbol, listener: (...args: any[]) => unknown): this;
    prependListener(event: string | symbol, listener: (...args: any[]) => unknown): this;
    protected get textIsOctets(): boolean;
    protected get closedCleanly(): boolean;
}
/** What is declared above; the overload with `Other` is for events of the application's own. */
type KnownEvent = 'message' | 'close' | 'open' | 'drain' | 'ping' | 'pong' | 'error';
export {};
