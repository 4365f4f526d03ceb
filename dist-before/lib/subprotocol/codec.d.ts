import type { Codec, Contract } from './contract.ts';
/** Whether it is bytes: a view or an ArrayBuffer, of any realm. */
export declare function isBytes(data: unknown): data is ArrayBufferView | ArrayBuffer | SharedArrayBuffer;
export declare const jsonCodec: Codec;
/** `json({ binary: true })`: text is JSON, and binary is bytes as they are, both ways. */
export declare const jsonOrBytesCodec: Codec;
export declare const textCodec: Codec;
export declare const bytesCodec: Codec;
/** The codec of a contract; undefined for a raw one. Contracts of the same kind share one, so that a `Prepared` is encoded once for all. */
export declare function resolveCodec(contract: Contract): Codec | undefined;
/** What a connection without a codec can send: strings and bytes pass through, a number goes as its decimal text (as in `ws`). */
export declare function encodeRaw(message: unknown): string | Uint8Array;
