import { FST_WS_ERR_CONNECTIONS, FST_WS_ERR_HANDSHAKE, FST_WS_ERR_HOST, FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_ORIGIN, FST_WS_ERR_UPGRADE_REQUIRED } from '../errors.js';
import { negotiateDeflate } from '../handshake/deflate-params.js';
import { acceptHandshake, checkPlainUpgrade, readHandshake } from '../handshake/server-handshake.js';
import { HandshakeError } from '../protocol/errors.js';
import { limited } from '../socket/channels.js';
import { openWebSocket } from '../socket/open.js';
import { EXPIRED, timeOf } from '../socket/watch.js';
import { ignoreRejection, isThenable } from '../subprotocol/validator.js';
import { MemoryDuplex } from '../transport/memory.js';
import { prepareSocket } from '../transport/tcp.js';
import { isOriginAllowed } from './origin.js';
import { Session } from './session.js';
import { upgradeOf } from './upgrade.js';
/** When a refused client may try again. */
const RETRY_AFTER_SECONDS = 10;
/** Where a route keeps its endpoint, in `config`. */
export const kEndpoint = Symbol('fastify-duplex.endpoint');
/** The endpoint that a request was routed to; undefined on plain routes, and where there is no route. */
export function endpointOf(request) {
    return request.routeOptions.config?.[kEndpoint]?.endpoint;
}
/** The `onRequest` hook that comes before all others: checks handshake and Origin of requests for WebSocket routes. */
export function checkUpgrade(request, reply, done) {
    const upgrade = upgradeOf(request.raw);
    if (upgrade === undefined)
        return done();
    const endpoint = endpointOf(request);
    if (endpoint !== undefined)
        upgrade.onRefused = (statusCode) => endpoint.counters.onRefused(statusCode);
    try {
        if (endpoint === undefined) {
            checkPlainUpgrade(request.raw);
            return done();
        }
        upgrade.handshake = readHandshake(request.raw);
    }
    catch (error) {
        if (!(error instanceof HandshakeError))
            throw error;
        reply.headers(error.headers);
        return done(Object.assign(new FST_WS_ERR_HANDSHAKE(error.message), { statusCode: error.statusCode }));
    }
    const { allowedHosts } = endpoint.options;
    if (allowedHosts !== undefined && !isHostAllowed(allowedHosts, request)) {
        request.log.warn({ host: shown(request.host) }, "websocket host refused: the option 'allowedHosts' says which are served");
        return done(new FST_WS_ERR_HOST());
    }
    const { origin } = upgrade.handshake;
    if (!isOriginAllowed(endpoint.options.origin, origin, request)) {
        request.log.warn({ origin: shown(origin), host: shown(request.host) }, "websocket origin refused: the option 'origin' says which pages may connect");
        return done(new FST_WS_ERR_ORIGIN());
    }
    const place = endpoint.registry.admit(endpoint.options, request.ip);
    if (typeof place === 'string') {
        if (limited.hasSubscribers)
            limited.publish({ request, limit: place });
        reply.header('retry-after', RETRY_AFTER_SECONDS);
        return done(new FST_WS_ERR_CONNECTIONS());
    }
    upgrade.release = place;
    upgrade.onRefused = (statusCode) => {
        place();
        endpoint.counters.onRefused(statusCode);
    };
    upgrade.limit(endpoint.options.handshakeTimeoutMs, reply, (err) => request.log.warn({ err }, 'websocket handshake timed out'));
    done();
}
function isHostAllowed(allowed, request) {
    const host = request.host.toLowerCase();
    return allowed.includes(host) || allowed.includes(host.replace(/:\d*$/, ''));
}
/** Of what a peer sends a log line holds so much. */
function shown(text) {
    return text.slice(0, 256);
}
/** Answers 101, and opens the connection when that has been written. Throws FST_WS_ERR_SUBPROTOCOL. */
export function acceptUpgrade(instance, endpoint, request, reply) {
    const upgrade = upgradeOf(request.raw);
    const handshake = upgrade.handshake;
    const expiresAt = expiryOf(endpoint, request);
    const subprotocol = endpoint.select(handshake.subprotocols, request);
    const { deflate } = endpoint.options;
    const agreed = deflate === undefined ? undefined : negotiateDeflate(handshake.extensions, deflate);
    const extensions = agreed?.answer ?? '';
    upgrade.accept(acceptHandshake(handshake, { subprotocol: subprotocol.name, extensions }), (socket, head) => {
        prepareSocket(socket);
        // The client of a test speaks what was agreed, without a copy of the contract.
        if (socket instanceof MemoryDuplex)
            socket.agreement = subprotocol;
        const session = new Session(endpoint, request, upgrade.release);
        const open = openWebSocket(socket, {
            role: 'server',
            subprotocol,
            extensions,
            deflate: agreed === undefined ? undefined : { ...deflate, ...agreed.params },
            url: urlOf(request),
            limits: endpoint.limits,
            ticker: endpoint.registry.ticker,
            faults: session
        });
        if (expiresAt !== undefined)
            open.watch.closeAt(expiresAt, EXPIRED.code, EXPIRED.reason);
        if (endpoint.options.maxLifetimeMs !== undefined)
            open.watch.endAt(Date.now() + endpoint.options.maxLifetimeMs);
        // Hooks may take their time, and the peer may leave meanwhile.
        open.watch.start();
        // When the handler has attached its listeners, what comes can be read.
        session.begin(open, instance, request, () => process.nextTick(open.start, head));
    }, (names) => request.log.warn({ headers: names }, 'header fields that belong to the handshake were left out of the 101'));
    reply.code(101).send();
}
/** When the session of a request ends, in milliseconds since 1970. Throws for what is no time: better no connection than one for ever. */
function expiryOf({ options }, request) {
    const when = options.expiresAt?.(request);
    if (when === undefined)
        return undefined;
    const at = timeOf(when);
    if (isThenable(when))
        ignoreRejection(when);
    if (at === undefined)
        throw new FST_WS_ERR_INVALID_OPTION('expiresAt', 'a function that returns a Date, a number of milliseconds since 1970, or undefined');
    return at;
}
/** Whether a request that reached a WebSocket route asks to be upgraded, its handshake checked. */
export function isChecked(request) {
    return upgradeOf(request.raw)?.handshake !== undefined;
}
/** A plain request on a route that speaks WebSocket only. */
export function refusePlainRequest(request, reply) {
    // RFC 9113 §8.2.2: HTTP/2 knows no Upgrade, so it can neither be asked for nor be required.
    if (request.raw.httpVersionMajor === 2)
        throw Object.assign(new FST_WS_ERR_UPGRADE_REQUIRED(), { statusCode: 400 });
    // RFC 9110 §15.5.22, §7.8: a 426 MUST name the protocol, and Connection must list the field.
    // RFC 9112 §9.6: a connection that the client wants closed is, which node:http must not overlook.
    reply.headers({ upgrade: 'websocket', connection: reply.raw.shouldKeepAlive ? 'Upgrade' : 'close, Upgrade' });
    throw new FST_WS_ERR_UPGRADE_REQUIRED();
}
function urlOf({ protocol, host, url }) {
    // RFC 9112 §3.2.2: a request may name its target whole.
    const target = url.startsWith('/') || !URL.canParse(url) ? url : new URL(url).pathname + new URL(url).search;
    return `${protocol === 'https' ? 'wss' : 'ws'}://${host}${target}`;
}
