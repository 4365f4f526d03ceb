import { refuseSocket, Upgrade } from './upgrade.js';
/** Fields that concern the upgrade alone, and Connection, which names them. */
const UPGRADE_FIELDS = new Set(['upgrade', 'http2-settings']);
/** As many names and values as node:http keeps of a request if the server does not say otherwise. */
const DEFAULT_MOST_RAW_HEADERS = 2000;
/** Listens for upgrades; returns what stops it. */
export function listenForUpgrades(server, { route, hasRoute, timeoutMs }) {
    const onUpgrade = (request, socket, head) => {
        // What no route here answers may be another listener's.
        if (server.listenerCount('upgrade') > 1 && !hasRoute(request))
            return;
        // node:http has taken its own listener away: without one an ECONNRESET would end the process.
        socket.on('error', ignore);
        afterEarlierAnswers(socket, concernsWebSocket(request) ? timeoutMs : undefined, () => {
            if (mayHideFields(server, request))
                return refuseSocket(socket, 431);
            if (concernsWebSocket(request))
                return new Upgrade(request, socket, head).start(route);
            socket.removeListener('error', ignore);
            replay(server, request, socket, head);
        });
    };
    server.on('upgrade', onUpgrade);
    const select = server.shouldUpgradeCallback;
    if (select !== undefined) {
        // Whoever else listens sees what it has always seen.
        server.shouldUpgradeCallback = (request) => server.listenerCount('upgrade') > 1 ? select.call(server, request) : concernsWebSocket(request);
    }
    return () => {
        server.removeListener('upgrade', onUpgrade);
        if (select !== undefined)
            server.shouldUpgradeCallback = select;
    };
}
/**
 * Whether WebSocket is asked for, rightly or not. What is refused then closes: a proxy that has seen the field may
 * believe in a tunnel, and what comes through it must not be read as requests.
 */
function concernsWebSocket(request) {
    return request.headers.upgrade?.toLowerCase().includes('websocket') === true;
}
/** Past its limit node:http drops fields, yet obeys them: a Content-Length among them would make frames, or a request, of a body. */
function mayHideFields({ maxHeadersCount }, { rawHeaders }) {
    const most = typeof maxHeadersCount === 'number' ? 2 * maxHeadersCount : DEFAULT_MOST_RAW_HEADERS;
    return most > 0 && rawHeaders.length >= most;
}
/** Requests that were pipelined before this one are answered first: a socket carries one response at a time. */
function afterEarlierAnswers(socket, timeoutMs, go) {
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => socket.destroy(), timeoutMs);
    const look = () => {
        const earlier = socket.destroyed ? undefined : socket._httpMessage;
        if (earlier) {
            earlier.once('close', look);
            return;
        }
        clearTimeout(timer);
        // Whoever has ended its side meanwhile, the client or an answer with `Connection: close`, wants nothing more.
        if (socket.readableEnded || socket.writableEnded)
            socket.destroy();
        if (!socket.destroyed)
            go();
    };
    look();
}
/**
 * Gives a request back to the HTTP parser, without its Upgrade. By now node:http has given its body up for the
 * new protocol's first bytes, so there is no other way to have it read.
 */
function replay(server, request, socket, head) {
    const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
    const { rawHeaders } = request;
    for (let i = 0; i < rawHeaders.length; i += 2) {
        const name = rawHeaders[i];
        const value = name.toLowerCase() === 'connection' ? withoutUpgradeFields(rawHeaders[i + 1]) : rawHeaders[i + 1];
        if (!UPGRADE_FIELDS.has(name.toLowerCase()))
            lines.push(`${name}: ${value}`);
    }
    // What node:http has read as latin1 goes back as the octets that it was.
    socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
    server.emit('encrypted' in socket && socket.encrypted === true ? 'secureConnection' : 'connection', socket);
}
function withoutUpgradeFields(connection) {
    return connection.split(',').filter((token) => !UPGRADE_FIELDS.has(token.trim().toLowerCase())).join(',');
}
function ignore() { }
