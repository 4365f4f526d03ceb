/**
 * Received messages that nobody has taken yet, in their wire form, first in first out. It counts its bytes; whoever
 * fills it decides what to do when they are too many.
 */
import { Buffer } from 'node:buffer';
export declare class MessageQueue {
    #private;
    /** Payloads, and the cost of their entries. */
    bytes: number;
    get length(): number;
    /** The first message; there must be one. */
    get data(): string | Buffer;
    get isBinary(): boolean;
    push(data: string | Buffer, isBinary: boolean): void;
    /** Drops the first message. */
    shift(): void;
    clear(): void;
}
