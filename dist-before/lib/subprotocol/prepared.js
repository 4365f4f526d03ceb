/**
 * A message for many connections: encoded and validated once, not once for each of them.
 *
 * It knows subprotocols and no connection. The frame and its compressed forms are shared as well: by the
 * `SharedMessage` that stands for the message in the encoding of one codec.
 */
import { Buffer } from 'node:buffer';
import { Opcode } from '../protocol/constants.js';
import { SharedMessage } from '../protocol/shared-message.js';
/** What `prepare` returns, to be given to `send` of any socket whose contract takes the message. */
export class Prepared {
    /** Read when it is first sent with a codec, once for each codec: do not change it any more. */
    message;
    // By what encodes, weakly: a constant of a module outlives the servers that sent it.
    #encoded = new WeakMap();
    constructor(message) {
        this.message = message;
    }
    /** The encoded message, the same object for every subprotocol that encodes alike. Throws as `subprotocol.encode`. */
    encodedFor(subprotocol) {
        const key = subprotocol.encodingKey;
        let shared = this.#encoded.get(key);
        if (shared === undefined) {
            const encoded = subprotocol.encode(this.message);
            // Copied: the sender's memory may change between the first connection and the last.
            shared = new SharedMessage(typeof encoded === 'string' ? Opcode.Text : Opcode.Binary, Buffer.from(encoded));
            this.#encoded.set(key, shared);
        }
        return shared;
    }
}
/**
 * Prepares a message for fan-out: sent to many sockets, it is encoded at its first `send`, once for each
 * codec, and validated once where `validateSend` is set. Do not change the message afterwards.
 */
export function prepare(message) {
    return new Prepared(message);
}
