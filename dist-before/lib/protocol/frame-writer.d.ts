/**
 * Frames to bytes (RFC 6455 §5.2): header and small payloads go into the region of the output, large payloads by
 * reference. A client masks (§5.3): in the region, or in a copy, never in what the application handed over.
 */
import { Buffer } from 'node:buffer';
import { type Role } from './constants.ts';
import { type OutputBuffer } from './output-buffer.ts';
/** UTF-8 takes three octets at most for one unit of a string. */
export declare const OCTETS_PER_UNIT = 3;
/** Writes the frames that one endpoint sends. */
export declare class FrameWriter {
    #private;
    constructor(role: Role, output: OutputBuffer);
    /** A data frame whose payload is this text. Returns the octets of the payload. */
    writeText(opcode: number, fin: boolean, text: string): number;
    /** A frame with this payload, which must not change until it is written. Returns the octets of the payload. */
    writeFrame(opcode: number, fin: boolean, payload: Uint8Array): number;
    /** A whole message of so many octets in its compressed form (RFC 7692 §6.1): they are what counts as application data. */
    writeCompressed(opcode: number, compressed: Uint8Array, messageBytes: number): void;
}
/** The bytes of a whole, unmasked message, which a server may send to many peers as they are. */
export declare function encodeServerFrame(opcode: number, payload: Uint8Array, isCompressed?: boolean): Buffer;
