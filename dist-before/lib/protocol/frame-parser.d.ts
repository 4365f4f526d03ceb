/**
 * Bytes to frames (RFC 6455 §5.2). Headers are read where they lie in the chunk, payloads are unmasked in
 * place, and nothing is copied but the header or control payload that straddles two chunks.
 *
 * Opcode, FIN, RSV, mask and length are judged as soon as their octets are there; nothing is allocated from a
 * length that was only announced. What a frame means (fragments, limits, closing) is the business of the sink.
 */
import { Buffer } from 'node:buffer';
import { type Role } from './constants.ts';
/** Receives frames in wire order. The ranges are valid during the call only: what outlives it must be copied. */
export interface FrameSink {
    /** A whole frame that lies in one chunk, or a control frame. */
    onFrame(opcode: number, fin: boolean, rsv1: boolean, buffer: Buffer, start: number, end: number): void;
    /** The header of a data frame whose payload straddles chunks; `onFramePart` follows until `last`. */
    onFrameStart(opcode: number, fin: boolean, rsv1: boolean, length: number): void;
    onFramePart(buffer: Buffer, start: number, end: number, last: boolean): void;
}
/** Parses the frames that one peer sends. */
export declare class FrameParser {
    #private;
    /** Set by the sink to stop after the frame at hand: it may be closed, paused or have failed. */
    halted: boolean;
    /** `rsv1Allowed`: an extension that uses RSV1 was negotiated. */
    constructor(role: Role, sink: FrameSink, rsv1Allowed?: boolean);
    /** Whether a frame has begun that is not complete. */
    get inFrame(): boolean;
    /**
     * Parses `chunk[offset, end)`, unmasking it in place. Returns where it stopped: the end, or the octet after
     * the frame whose handling set `halted`. Throws a ProtocolError, after which it must not be fed again.
     */
    feed(chunk: Buffer, offset: number): number;
}
