/**
 * Masking (RFC 6455 §5.3): XOR with the masking-key, in place. Masking and unmasking are the same.
 *
 * The key is one 32-bit integer whose topmost octet belongs to the first octet of the range; a payload
 * that arrives in parts carries its phase over by `rotateKey`.
 */
/** XORs `buffer[start, end)` with the key, in place. */
export declare function mask(buffer: Uint8Array, start: number, end: number, key: number): void;
/** The key for what follows `octets` octets that were masked with it. */
export declare function rotateKey(key: number, octets: number): number;
