import { CloseCode } from '../protocol/constants.js';
import { Ticker } from '../socket/ticker.js';
import { addressKey } from './address.js';
import { Counters } from './stats.js';
/** Between two groups of Closes that are spread over a window. */
const SPREAD_STEP_MS = 20;
export class Registry {
    /** The clock of its connections. */
    ticker = new Ticker();
    #sockets = new Map();
    #counters = new Map();
    /** Connections and handshakes, in all and of each address that was counted. */
    #places = 0;
    #placesByAddress = new Map();
    #closing;
    get size() { return this.#sockets.size; }
    [Symbol.iterator]() {
        return this.#sockets.keys();
    }
    async closeAll(code = CloseCode.GoingAway, reason = '') {
        await this.#close([...this.#sockets.keys()], { code, reason, windowMs: 0 });
    }
    stats() {
        const open = [...this.#sockets];
        const routes = [...this.#counters].map(([url, counters]) => {
            const ofRoute = open.filter(([, listed]) => listed.counters === counters).map(([socket, { connection }]) => [socket, connection]);
            return [url, counters.with(ofRoute)];
        });
        return Object.fromEntries(routes);
    }
    /** The counters of a route, which may be registered more than once, with constraints. */
    countersOf(url) {
        let counters = this.#counters.get(url);
        if (counters === undefined)
            this.#counters.set(url, counters = new Counters());
        return counters;
    }
    /** Takes a place for a handshake and the connection that it may become: what gives it back, once, or the limit that is reached. */
    admit({ maxConnections, maxConnectionsPerAddress }, address) {
        if (this.#places >= maxConnections)
            return 'maxConnections';
        const key = maxConnectionsPerAddress === Infinity ? undefined : addressKey(address);
        if (key !== undefined) {
            const places = this.#placesByAddress.get(key) ?? 0;
            if (places >= maxConnectionsPerAddress)
                return 'maxConnectionsPerAddress';
            this.#placesByAddress.set(key, places + 1);
        }
        this.#places++;
        let released = false;
        return () => {
            if (released)
                return;
            released = true;
            this.#release(key);
        };
    }
    #release(key) {
        this.#places--;
        if (key === undefined)
            return;
        const places = this.#placesByAddress.get(key) - 1;
        if (places === 0)
            this.#placesByAddress.delete(key);
        else
            this.#placesByAddress.set(key, places);
    }
    /** Closes all, and whoever opens from now on; each has its close timeout. For the end of the server. */
    async drain(shutdown) {
        this.#closing = shutdown;
        await this.#close([...this.#sockets.keys()], shutdown);
    }
    add(socket, connection, counters) {
        this.#sockets.set(socket, { connection, counters });
        const closing = this.#closing;
        // On the next tick: the handler still starts on an open socket.
        if (closing !== undefined)
            process.nextTick(() => socket.close(closing.code, closing.reason));
    }
    delete(socket) {
        this.#sockets.delete(socket);
    }
    async #close(sockets, { code, reason, windowMs }) {
        const started = Date.now();
        let next = 0;
        while (next < sockets.length) {
            const share = windowMs === 0 ? 1 : (Date.now() - started + SPREAD_STEP_MS) / windowMs;
            for (const due = Math.min(sockets.length, Math.ceil(share * sockets.length)); next < due; next++)
                sockets[next].close(code, reason);
            if (next < sockets.length)
                await new Promise((resolve) => { setTimeout(resolve, SPREAD_STEP_MS); });
        }
        await Promise.all(sockets.map((socket) => socket.closed));
    }
}
