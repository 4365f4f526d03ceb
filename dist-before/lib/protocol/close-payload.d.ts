/**
 * The payload of a Close frame: a status code and a reason in UTF-8 (RFC 6455 §5.5.1, §7.4).
 *
 * Pure functions: nothing here knows whether a connection is open.
 */
import { Buffer } from 'node:buffer';
import { type Role } from './constants.ts';
/** Longest reason in octets: a control frame holds 125, the code takes 2 (§5.5, §5.5.1). */
export declare const MAX_CLOSE_REASON_BYTES = 123;
/** What a Close frame said; `code` is 1005 if it said nothing (§7.1.5). */
export interface ClosePayload {
    readonly code: number;
    readonly reason: string;
}
/** Whether this code may stand in a Close frame (§7.4). */
export declare function isCloseCode(code: number): boolean;
/** Whether an endpoint of this role may send this code: a server has no use for 1010, it chooses the extensions (§7.4.1). */
export declare function isSendableCloseCode(code: number, role: Role): boolean;
/** Reads `buffer[start, end)`. Throws a ProtocolError with 1002 or 1007. */
export declare function readClosePayload(buffer: Buffer, start: number, end: number): ClosePayload;
/** The payload for this code and reason; empty for 1005, the code of a Close frame without one. The reason must fit. */
export declare function writeClosePayload(code: number, reason: string): Buffer;
