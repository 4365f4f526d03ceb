/**
 * permessage-deflate (RFC 7692 §7.2): whole messages, compressed and inflated.
 *
 * There is no live zlib stream: between two messages a connection holds nothing, or with context takeover the plain text
 * that its windows cover, which zlib takes as a dictionary. (A live pair costs 247 KB.) Small messages are done at once,
 * large ones by a job of the thread pool, which costs the event loop 40 microseconds more: as much as level 1 takes to
 * compress 12 KiB, or to inflate 16.
 */
import { Buffer } from 'node:buffer';
import { type Role } from './constants.ts';
import { ProtocolError } from './errors.ts';
/** What was agreed on (§7.1), and how this end compresses. */
export interface DeflateSettings {
    readonly serverNoContextTakeover: boolean;
    readonly clientNoContextTakeover: boolean;
    /** Base-2 logarithms of the windows, 9 to 15; 8 for the window of a peer. */
    readonly serverMaxWindowBits: number;
    readonly clientMaxWindowBits: number;
    /** Messages below this size are sent as they are. */
    readonly thresholdBytes: number;
    readonly level: number;
    readonly memLevel: number;
    /** Jobs of the thread pool at once, in the whole process. */
    readonly maxConcurrentJobs: number;
}
/** Compresses what one end sends and inflates what it receives: in each direction one message after the other. */
export declare class DeflateCodec {
    #private;
    readonly thresholdBytes: number;
    /** Connections with the same form compress a message to the same octets. None with context takeover. */
    readonly sharedForm: string | undefined;
    constructor(role: Role, options: DeflateSettings);
    /** Whether a payload of this size is compressed at once; else `compressLater` is to be used. */
    compressesNow(bytes: number): boolean;
    /** The payload in its compressed form; undefined where that is no smaller, or cannot be had. */
    compress(payload: Uint8Array): Buffer | undefined;
    /** The same as a job: calls back later, or never if `isWanted` says, when the turn comes, that nobody waits any more. */
    compressLater(payload: Uint8Array, isWanted: () => boolean, done: (compressed: Buffer | undefined) => void): void;
    /**
     * Inflates the payload of a message; undefined if it is too large to be done at once. Throws a ProtocolError: 1009
     * above `maxBytes`, 1007 for what is no compressed message.
     */
    inflate(payload: Uint8Array, maxBytes: number): Buffer | undefined;
    /** The same as a job, which may be dropped as that of `compressLater`. */
    inflateLater(payload: Uint8Array, maxBytes: number, isWanted: () => boolean, done: (result: Buffer | ProtocolError) => void): void;
}
