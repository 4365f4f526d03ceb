/**
 * The server's 'upgrade' event. Requests for WebSocket go on as an `Upgrade`; with every other Upgrade field (`h2c`) a
 * request is one like any other, which node:http would have answered had nobody listened.
 */
import type { IncomingMessage, Server } from 'node:http';
import { type Router } from './upgrade.ts';
/** Of Node 22.21 and 24.9: says for which requests the event is emitted. */
type SelectiveServer = Server & {
    shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
};
/** Of an application, what its upgrades need. */
export interface UpgradeTarget {
    readonly route: Router;
    /** Whether the request would find a route, were it a GET. */
    readonly hasRoute: (request: IncomingMessage) => boolean;
    /** How long a request for WebSocket that was pipelined behind others waits for their answers. */
    readonly timeoutMs: number;
}
/** Listens for upgrades; returns what stops it. */
export declare function listenForUpgrades(server: SelectiveServer, { route, hasRoute, timeoutMs }: UpgradeTarget): () => void;
export {};
