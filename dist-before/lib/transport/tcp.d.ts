import type { Duplex } from 'node:stream';
/**
 * Makes a socket fit for a connection that lives long and sends small frames: no delay (Nagle), and no timeout,
 * which the HTTP server's `setTimeout` would otherwise go on counting.
 */
export declare function prepareSocket(duplex: Duplex): void;
/**
 * Whether nothing of a chunk is needed any more when `writableLength` is 0 right after `write`: the kernel has it.
 * So it is with a plain socket; a TLS socket still encrypts, and another stream may still hold the chunk.
 */
export declare function writesAtOnce(duplex: Duplex): boolean;
/**
 * A number that changes with every octet of the writes under way that the kernel takes; undefined where that cannot be seen.
 * Nothing public tells: a stream knows of a write only when it is done, which for megabytes and a slow peer takes minutes.
 * It is what `setTimeout` of a socket looks at, but not at the network behind TLS, where a write is one piece however long.
 */
export declare function writeProgress(duplex: Duplex): number | undefined;
