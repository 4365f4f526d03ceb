/**
 * Received messages that nobody has taken yet, in their wire form, first in first out. It counts its bytes; whoever
 * fills it decides what to do when they are too many.
 */
import { Buffer } from 'node:buffer';
/** What an entry costs beside its payload, so that empty messages count too. */
const ENTRY_BYTES = 64;
export class MessageQueue {
    /** Payloads, and the cost of their entries. */
    bytes = 0;
    #data = [];
    #isBinary = [];
    #first = 0;
    get length() { return this.#data.length - this.#first; }
    /** The first message; there must be one. */
    get data() { return this.#data[this.#first]; }
    get isBinary() { return this.#isBinary[this.#first]; }
    push(data, isBinary) {
        this.#data.push(data);
        this.#isBinary.push(isBinary);
        this.bytes += cost(data);
    }
    /** Drops the first message. */
    shift() {
        this.bytes -= cost(this.data);
        this.#data[this.#first++] = '';
        // Moving the rest down now and then keeps `shift` at constant cost and the arrays short.
        if (this.#first === this.#data.length)
            this.clear();
        else if (this.#first >= 1024 && this.#first * 2 >= this.#data.length)
            this.#compact();
    }
    clear() {
        this.#data.length = this.#isBinary.length = this.#first = this.bytes = 0;
    }
    #compact() {
        this.#data.splice(0, this.#first);
        this.#isBinary.splice(0, this.#first);
        this.#first = 0;
    }
}
function cost(data) {
    return ENTRY_BYTES + (typeof data === 'string' ? Buffer.byteLength(data) : data.length);
}
