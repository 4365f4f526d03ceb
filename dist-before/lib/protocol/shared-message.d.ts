/**
 * A whole message that a server sends on many connections: its frame is made once, and compressed once for all
 * connections that compress alike.
 */
import { Buffer } from 'node:buffer';
import type { Opcode } from './constants.ts';
import type { DeflateCodec } from './deflate.ts';
type FrameCallback = (frame: Buffer) => void;
export declare class SharedMessage {
    #private;
    readonly opcode: typeof Opcode.Text | typeof Opcode.Binary;
    /** Sent by reference: nobody may write into it. */
    readonly payload: Buffer;
    constructor(opcode: typeof Opcode.Text | typeof Opcode.Binary, payload: Buffer);
    /** The uncompressed frame. */
    get frame(): Buffer;
    /** The frame in the codec's form; undefined if it is compressed by a job, and `later` gets it. */
    compressedFrame(codec: DeflateCodec, form: string, later: FrameCallback): Buffer | undefined;
}
export {};
