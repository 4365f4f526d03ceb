/**
 * Frames to messages: fragmentation (RFC 6455 §5.4), the limit on a message's size, and UTF-8 (§8.1).
 *
 * A message that lies whole in one chunk goes straight through. Any other is gathered in one growing buffer,
 * so that it costs its bytes, however many fragments they come in; its text is checked as it arrives. A compressed
 * message goes on as it came, and comes back inflated.
 */
import { Buffer } from 'node:buffer';
/** How text is handed on: decoded, or as the octets that were checked to be UTF-8. */
export type TextAs = 'string' | 'buffer';
export interface MessageSink {
    /** A whole message. A Buffer is the receiver's to keep. */
    onMessage(data: string | Buffer, isBinary: boolean): void;
    /** The payload of a compressed message, valid during the call only; `onInflated` goes on with it. */
    onCompressedMessage(payload: Buffer, isBinary: boolean): void;
}
/** Fragments without payload that one message may hold: they cost work and bring nothing. */
export declare const MAX_EMPTY_FRAGMENTS = 256;
export declare class MessageAssembler {
    #private;
    constructor(sink: MessageSink, maxMessageBytes: number, textAs: TextAs);
    /** Whether a message has begun whose last fragment is still to come. */
    get inMessage(): boolean;
    /** A data frame that lies in `buffer[start, end)`. */
    onFrame(opcode: number, fin: boolean, rsv1: boolean, buffer: Buffer, start: number, end: number): void;
    /** The header of a data frame whose payload comes in parts. */
    onFrameStart(opcode: number, fin: boolean, rsv1: boolean, length: number): void;
    onFramePart(buffer: Buffer, start: number, end: number, last: boolean): void;
    /** Hands on a message that came compressed: `data` is what became of it, in memory of its own. */
    onInflated(data: Buffer, isBinary: boolean): void;
}
