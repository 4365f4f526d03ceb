/**
 * A whole message that a server sends on many connections: its frame is made once, and compressed once for all
 * connections that compress alike.
 */
import { Buffer } from 'node:buffer';
import { encodeServerFrame } from './frame-writer.js';
export class SharedMessage {
    opcode;
    /** Sent by reference: nobody may write into it. */
    payload;
    #frame;
    /** By `DeflateCodec.sharedForm`: the frame, or those who wait for it. */
    #compressed;
    constructor(opcode, payload) {
        this.opcode = opcode;
        this.payload = payload;
    }
    /** The uncompressed frame. */
    get frame() {
        return (this.#frame ??= encodeServerFrame(this.opcode, this.payload));
    }
    /** The frame in the codec's form; undefined if it is compressed by a job, and `later` gets it. */
    compressedFrame(codec, form, later) {
        const frames = (this.#compressed ??= new Map());
        const known = frames.get(form);
        if (Buffer.isBuffer(known))
            return known;
        if (known !== undefined) {
            known.push(later);
            return undefined;
        }
        if (codec.compressesNow(this.payload.length))
            return this.#keep(frames, form, codec.compress(this.payload));
        const waiting = [later];
        frames.set(form, waiting);
        codec.compressLater(this.payload, always, (compressed) => {
            const frame = this.#keep(frames, form, compressed);
            for (const callback of waiting)
                callback(frame);
        });
        return undefined;
    }
    #keep(frames, form, compressed) {
        const frame = compressed === undefined ? this.frame : encodeServerFrame(this.opcode, compressed, true);
        frames.set(form, frame);
        return frame;
    }
}
function always() { return true; }
