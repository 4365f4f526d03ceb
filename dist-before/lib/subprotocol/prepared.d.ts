import { SharedMessage } from '../protocol/shared-message.ts';
import type { Subprotocol } from './subprotocol.ts';
/** What `prepare` returns, to be given to `send` of any socket whose contract takes the message. */
export declare class Prepared<T> {
    #private;
    /** Read when it is first sent with a codec, once for each codec: do not change it any more. */
    readonly message: T;
    constructor(message: T);
    /** The encoded message, the same object for every subprotocol that encodes alike. Throws as `subprotocol.encode`. */
    encodedFor(subprotocol: Subprotocol): SharedMessage;
}
/**
 * Prepares a message for fan-out: sent to many sockets, it is encoded at its first `send`, once for each
 * codec, and validated once where `validateSend` is set. Do not change the message afterwards.
 */
export declare function prepare<const T>(message: T): Prepared<Writable<T>>;
/** What a literal is inferred as, with arrays and objects writable again: `const T` alone gives `readonly` arrays, which no schema's type takes. */
type Writable<T> = T extends string | number | bigint | boolean | symbol | null | undefined | ArrayBufferView | ArrayBuffer | Date | ((...args: never[]) => unknown) ? T : {
    -readonly [Key in keyof T]: Writable<T[Key]>;
};
export {};
