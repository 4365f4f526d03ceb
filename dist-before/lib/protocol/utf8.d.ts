/**
 * Text is UTF-8 (RFC 6455 §8.1, RFC 3629): check it, whole or as it arrives, and decode it.
 *
 * A bad octet is found as soon as it has arrived: what stands at the end of a part must be able to
 * become a code point (F4 90 is not). Nothing is kept here: the caller holds the octets in one buffer.
 */
import { type Buffer } from 'node:buffer';
/**
 * Checks `buffer[start, end)`, which begins at a code point. Returns where its last, unfinished code point
 * begins (`end` if there is none), from where the check of the next part goes on; -1 if it is not UTF-8.
 */
export declare function checkUtf8(buffer: Buffer, start: number, end: number): number;
/** Decodes `buffer[start, end)`, or returns undefined if it is not UTF-8. */
export declare function decodeUtf8(buffer: Buffer, start: number, end: number): string | undefined;
