import { FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_SUBPROTOCOL } from '../errors.js';
import { createSubprotocol, selectSubprotocol, Subprotocol } from '../subprotocol/subprotocol.js';
import { synchronous } from './options.js';
export class Endpoint {
    url;
    options;
    handler;
    limits;
    /** Whether the lines at open and close are wanted of this request. */
    logsRequests;
    registry;
    counters;
    /** Known when the server starts. */
    hooks = { onOpen: [], onClose: [] };
    #messages;
    #contracts;
    /** Compiled when the server starts. */
    #subprotocols = new Map();
    /** What a connection without subprotocol speaks; undefined if there must be one. */
    #nameless;
    /** Throws FST_WS_ERR_INVALID_ROUTE if handlers and contracts do not fit each other. */
    constructor(parts) {
        const { url, options, messages, subprotocols = {} } = parts;
        this.url = url;
        this.options = options;
        this.logsRequests = parts.logsRequests;
        this.registry = parts.registry;
        this.counters = parts.registry.countersOf(url);
        this.#messages = messages;
        this.#contracts = new Map(Object.entries(subprotocols));
        this.handler = typeof parts.handler === 'function' ? parts.handler : this.#byProtocol(parts.handler);
        this.limits = Object.freeze({
            maxMessageBytes: options.maxMessageBytes,
            maxUnsentBytes: options.maxUnsentBytes,
            highWaterMarkBytes: options.highWaterMarkBytes,
            closeTimeoutMs: options.closeTimeoutMs,
            messageTimeoutMs: options.messageTimeoutMs,
            heartbeat: options.heartbeat,
            rateLimit: options.rateLimit,
            queueBytes: options.highWaterMarkBytes,
            whenFull: 'pause'
        });
    }
    /** Whether it has no contracts: nothing is parsed. */
    get raw() {
        return this.#messages === undefined && this.#contracts.size === 0;
    }
    /** Compiles the schemas. Throws FST_WS_ERR_INVALID_SCHEMA, which names route and subprotocol. */
    compile(options) {
        const { validateSend, schemaErrorFormatter } = this.options;
        const full = { ...options, method: 'GET', url: this.url, validateSend, schemaErrorFormatter: schemaErrorFormatter };
        for (const [name, contract] of this.#contracts)
            this.#subprotocols.set(name, createSubprotocol(name, contract, full));
        if (this.#messages !== undefined)
            this.#nameless = createSubprotocol('', this.#messages, full);
        else if (this.raw)
            this.#nameless = new Subprotocol({ name: '', what: `route ${this.url}`, codec: undefined });
    }
    /** What the connection speaks, by what the client offers. Throws FST_WS_ERR_SUBPROTOCOL, whose message lists what is there. */
    select(offered, request) {
        if (offered.length === 0) {
            if (this.#nameless === undefined)
                throw new FST_WS_ERR_SUBPROTOCOL(`offer a subprotocol: ${this.#names()}`);
            return this.#nameless;
        }
        if (this.raw)
            return this.#selectRaw(offered, request);
        const subprotocol = selectSubprotocol(offered, this.#subprotocols);
        // A client that has offered some and is answered none has to fail the connection anyway (§4.1).
        if (subprotocol === undefined)
            throw new FST_WS_ERR_SUBPROTOCOL(this.#contracts.size === 0 ? 'this route has no subprotocols' : `offer one of these subprotocols: ${this.#names()}`);
        return subprotocol;
    }
    #selectRaw(offered, request) {
        const name = synchronous('selectSubprotocol', this.options.selectSubprotocol?.(offered, request), request.log);
        if (typeof name !== 'string' || !offered.includes(name))
            throw new FST_WS_ERR_SUBPROTOCOL('this route agrees to none of the subprotocols offered');
        return new Subprotocol({ name, what: `route ${this.url}, subprotocol '${name}'`, codec: undefined });
    }
    #names() {
        return [...this.#contracts.keys()].join(', ');
    }
    /** One handler out of a map of them. */
    #byProtocol(handlers) {
        const names = new Set(this.#contracts.keys());
        if (names.size === 0)
            throw new FST_WS_ERR_INVALID_ROUTE(this.url, "a map of handlers needs 'subprotocols'");
        if (this.#messages !== undefined)
            names.add('');
        const byName = new Map(Object.entries(handlers));
        for (const [name, handler] of byName) {
            if (!names.has(name))
                throw new FST_WS_ERR_INVALID_ROUTE(this.url, `there is a handler for '${name}' but no contract`);
            if (typeof handler !== 'function')
                throw new FST_WS_ERR_INVALID_ROUTE(this.url, `the handler for '${name}' is not a function`);
        }
        for (const name of names) {
            if (!byName.has(name))
                throw new FST_WS_ERR_INVALID_ROUTE(this.url, `there is a contract for '${name}' but no handler`);
        }
        return function (socket, request) {
            return byName.get(socket.protocol).call(this, socket, request);
        };
    }
}
