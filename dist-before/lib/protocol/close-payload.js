/**
 * The payload of a Close frame: a status code and a reason in UTF-8 (RFC 6455 §5.5.1, §7.4).
 *
 * Pure functions: nothing here knows whether a connection is open.
 */
import { Buffer } from 'node:buffer';
import { CloseCode } from './constants.js';
import { ProtocolError } from './errors.js';
import { decodeUtf8 } from './utf8.js';
/** Longest reason in octets: a control frame holds 125, the code takes 2 (§5.5, §5.5.1). */
export const MAX_CLOSE_REASON_BYTES = 123;
const EMPTY = { code: CloseCode.NoStatusReceived, reason: '' };
/** Whether this code may stand in a Close frame (§7.4). */
export function isCloseCode(code) {
    // §7.4.1 reserves 1004; 1005, 1006 and 1015 MUST NOT be set by an endpoint. §7.4.2: 3000-4999 belong
    // to libraries and applications.
    return Number.isInteger(code) && ((code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999));
}
/** Whether an endpoint of this role may send this code: a server has no use for 1010, it chooses the extensions (§7.4.1). */
export function isSendableCloseCode(code, role) {
    return isCloseCode(code) && !(role === 'server' && code === CloseCode.MandatoryExtension);
}
/** Reads `buffer[start, end)`. Throws a ProtocolError with 1002 or 1007. */
export function readClosePayload(buffer, start, end) {
    if (start === end)
        return EMPTY;
    // §5.5.1: if there is a body, its first two octets MUST be the code.
    if (end - start === 1)
        throw new ProtocolError(CloseCode.ProtocolError, 'Close frame with a payload of one octet');
    const code = buffer.readUInt16BE(start);
    if (!isCloseCode(code))
        throw new ProtocolError(CloseCode.ProtocolError, 'Close frame with a code that must not be sent');
    const reason = decodeUtf8(buffer, start + 2, end);
    if (reason === undefined)
        throw new ProtocolError(CloseCode.InvalidFramePayloadData, 'Close frame with a reason that is not UTF-8');
    return { code, reason };
}
/** The payload for this code and reason; empty for 1005, the code of a Close frame without one. The reason must fit. */
export function writeClosePayload(code, reason) {
    if (code === CloseCode.NoStatusReceived)
        return Buffer.alloc(0);
    const length = Buffer.byteLength(reason);
    const payload = Buffer.alloc(2 + length);
    payload.writeUInt16BE(code, 0);
    payload.write(reason, 2);
    return payload;
}
