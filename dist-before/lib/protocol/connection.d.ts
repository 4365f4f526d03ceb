/**
 * One WebSocket connection as a state machine over bytes (RFC 6455 §5-§7), for both roles. It does no I/O: it is
 * given what arrived, and what it wants of the transport stands in `output`, `reading`, `more` and `shutdown`.
 *
 * | state     | app sends | close()          | Close arrives                                  | data      | ping     | rule or limit broken        | EOF or lost  |
 * |-----------|-----------|------------------|------------------------------------------------|-----------|----------|-----------------------------|--------------|
 * | Open      | frame out | Close, CloseSent | Close, Ending; a server: shutdown end          | delivered | pong out | Close, Ending, shutdown end | Closed, 1006 |
 * | CloseSent | dropped   | –                | Ending; a server: shutdown end                 | dropped   | pong out | Ending, shutdown destroy    | Closed, 1006 |
 * | Ending    | dropped   | –                | dropped                                        | dropped   | dropped  | –                           | Closed       |
 * | Closed    | dropped   | –                | –                                              | –         | –        | –                           | –            |
 *
 * What the application has sent goes out first: the Close, and then the end, wait for the message that is being compressed
 * (§5.5.1 allows it). While a message is being inflated nothing is read, so what follows stays behind it.
 *
 * Ending goes on reading and throws away what comes, lest the kernel answer it with RST and our Close be lost. The
 * transport arms its timer when Open ends. `abort` goes from any state to Ending with shutdown destroy.
 */
import { Buffer } from 'node:buffer';
import { Opcode, type Role } from './constants.ts';
import { type DeflateSettings } from './deflate.ts';
import { ProtocolError } from './errors.ts';
import { type FrameSink } from './frame-parser.ts';
import { type MessageSink, type TextAs } from './message-assembler.ts';
import { OutputBuffer, type WriteCallback } from './output-buffer.ts';
import type { SharedMessage } from './shared-message.ts';
export declare const State: {
    readonly Open: 0;
    readonly CloseSent: 1;
    readonly Ending: 2;
    readonly Closed: 3;
};
type ConnectionState = typeof State[keyof typeof State];
/** What the transport shall do with its writing side: nothing, end it after the output, or drop everything at once. */
export type Shutdown = 'none' | 'end' | 'destroy';
/** Is told what happens, synchronously and in wire order. It must not throw. */
export interface ConnectionHandler {
    /** A whole message; a Buffer is the receiver's to keep. */
    onMessage(data: string | Buffer, isBinary: boolean): void;
    onPing(payload: Buffer): void;
    onPong(payload: Buffer): void;
    /** The connection is not open any more: no message comes or goes from now on. */
    onClosing(): void;
    /** The peer broke a rule or passed a limit; `onClose` follows. */
    onError(error: ProtocolError): void;
    /** Once, last. The code is that of the peer's Close, 1005 if it had none, 1006 if none came (§7.1.5). */
    onClose(code: number, reason: string, wasClean: boolean): void;
}
export interface ConnectionOptions {
    readonly role: Role;
    readonly maxMessageBytes: number;
    readonly textAs: TextAs;
    /** Above so many unsent octets only the newest ping waits for its pong (§5.5.3). */
    readonly highWaterMarkBytes: number;
    /** Whether pings are answered; only a test wants it otherwise. */
    readonly autoPong?: boolean;
    /** What was agreed on of permessage-deflate; undefined if it was not. */
    readonly deflate?: DeflateSettings | undefined;
    /** What the peer may send; undefined without limit. */
    readonly rateLimit?: RateLimit | undefined;
}
export interface RateLimit {
    readonly messagesPerSecond: number;
    /** Of the network, framing included. */
    readonly bytesPerSecond: number;
    /** How many seconds' worth may come at once. */
    readonly burst: number;
}
export declare class Connection implements FrameSink, MessageSink {
    #private;
    readonly role: Role;
    readonly output: OutputBuffer;
    /** Told what arrives; set by whoever wires the connection, before the first byte. */
    handler: ConnectionHandler;
    /** Called when one of the four facts below has changed outside `receive` and `continue`. */
    onWake: () => void;
    state: ConnectionState;
    /** Input was kept back: `continue` wants to be called when the event loop has had its turn. */
    more: boolean;
    shutdown: Shutdown;
    /** Code and reason of the Close that came, and the code of the one that went; 1006 while there was none. */
    closeCode: number;
    closeReason: string;
    sentCloseCode: number;
    bytesReceived: number;
    messagesReceived: number;
    messagesSent: number;
    /** Octets of data that were sent after the connection had ceased to be open. */
    droppedBytes: number;
    constructor(options: ConnectionOptions);
    /** Whether both Close frames have passed (§7.1.4). */
    get wasClean(): boolean;
    /** False while nothing shall be read. */
    get reading(): boolean;
    /** Whether the peer has begun something, a message or a frame, that it has not finished. */
    get unfinished(): boolean;
    /** Octets of messages that are not in the output yet, since one of them is being compressed. */
    get pendingBytes(): number;
    /** Takes the octets of one read. They are unmasked in place, and may be kept as views. */
    receive(chunk: Buffer): void;
    /** Goes on with the input that was kept back. */
    continue(): void;
    /** The peer has ended its side: after what was kept back, nothing comes any more. */
    receiveEof(): void;
    /** The transport is gone, whatever the reason. */
    transportClosed(): void;
    /** The output is less than it was: a pong that had to wait can go. */
    outputDrained(): void;
    /**
     * Sends text; `fin` false leaves the message open for further fragments. `compress` false keeps permessage-deflate, if it
     * was agreed on, from it. Returns whether the connection was open.
     */
    sendText(text: string, fin?: boolean, compress?: boolean): boolean;
    /** Sends octets, as binary or as text; they must not change until they are written. */
    sendBytes(payload: Uint8Array, opcode: typeof Opcode.Text | typeof Opcode.Binary, fin?: boolean, compress?: boolean): boolean;
    /** Sends a message that other connections send too. */
    sendShared(message: SharedMessage, compress?: boolean): boolean;
    /** Calls back when all that was sent so far is written, or lost. */
    addCallback(callback: WriteCallback): void;
    ping(payload: Uint8Array): void;
    pong(payload: Uint8Array): void;
    /** Starts the closing handshake (§7.1.2); does nothing when it is under way. 1005 sends a Close without a code. */
    close(code: number, reason: string): void;
    /** Fails the connection (§7.1.7). Everything that fails it comes through here. */
    fail(error: ProtocolError): void;
    /** Gives the connection up without a Close, for the transport that is destroying itself: it is not woken. */
    abort(): void;
    /** Stops delivering, at once, and reading. */
    pause(): void;
    resume(): void;
    onFrame(opcode: number, fin: boolean, rsv1: boolean, buffer: Buffer, start: number, end: number): void;
    onFrameStart(opcode: number, fin: boolean, rsv1: boolean, length: number): void;
    onFramePart(buffer: Buffer, start: number, end: number, last: boolean): void;
    onMessage(data: string | Buffer, isBinary: boolean): void;
    onCompressedMessage(payload: Buffer, isBinary: boolean): void;
}
export {};
