/**
 * A WebSocket as a Node Duplex: messages in object mode on typed routes, bytes on raw ones. Backpressure goes both
 * ways; ending the stream closes with 1000, destroying it terminates, and the end of the connection ends it.
 */
import { Duplex } from 'node:stream';
import { type Receiver } from './receiver.ts';
/** What the stream needs of a socket. */
export interface StreamSocket {
    send(message: any, callback: (error?: Error) => void): boolean;
    close(code: number): void;
    terminate(): void;
}
/** Throws FST_WS_ERR_TAKEN if messages go elsewhere. */
export declare function messageStream(receiver: Receiver, socket: StreamSocket, objectMode: boolean): Duplex;
