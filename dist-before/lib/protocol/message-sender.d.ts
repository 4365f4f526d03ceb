import { type Role } from './constants.ts';
import type { DeflateCodec } from './deflate.ts';
import type { OutputBuffer, WriteCallback } from './output-buffer.ts';
import type { SharedMessage } from './shared-message.ts';
export declare class MessageSender {
    #private;
    /** Called when something was written that had to wait. */
    onProgress: () => void;
    /** Application data that waits to be compressed, or behind what is. */
    pendingBytes: number;
    constructor(role: Role, output: OutputBuffer, deflate: DeflateCodec | undefined);
    /** Sends text; `fin` false leaves the message open for further fragments, none of which is compressed. */
    sendText(text: string, fin: boolean, compress: boolean): void;
    /** Sends octets, which must not change until they are written. */
    sendBytes(payload: Uint8Array, opcode: number, fin: boolean, compress: boolean): void;
    /** Sends a message that others send too. */
    sendShared(message: SharedMessage, compress: boolean): void;
    /** Sends a control frame behind what was sent before, and then calls `written`. */
    sendControl(opcode: number, payload: Uint8Array, written?: () => void): void;
    /** Sends a pong at once: it answers, and belongs to no order (RFC 6455 §5.5.2). */
    pong(payload: Uint8Array): void;
    /** Calls back when all that was sent so far has left, or is lost. */
    addCallback(callback: WriteCallback): void;
    /** Calls back when all that was sent so far is in the output. */
    afterAll(run: () => void): void;
    /** Compresses and writes nothing more of what waits. */
    stop(): void;
    /** The transport is gone: forgets what waits, but for the callbacks, which the output gets. Returns the application data that is lost. */
    drop(): number;
}
