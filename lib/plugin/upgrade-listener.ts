/**
 * The server's 'upgrade' event. Requests for WebSocket go on as an `Upgrade`; with every other Upgrade field (`h2c`) a
 * request is one like any other, which node:http would have answered had nobody listened.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ignoreError, refuseSocket, Upgrade, type Router } from './upgrade.ts'

/** Of Node 22.21 and 24.9: says for which requests the event is emitted. */
type SelectiveServer = Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }

/** Fields that concern the upgrade alone, and Connection, which names them. */
const UPGRADE_FIELDS = new Set(['upgrade', 'http2-settings'])

/** Of an application, what its upgrades need. */
export interface UpgradeTarget {
  readonly route: Router
  /** Whether the request would find a route, were it a GET. */
  readonly hasRoute: (request: IncomingMessage) => boolean
  /** How long a request for WebSocket that was pipelined behind others waits for their answers. */
  readonly timeoutMs: number
}

/** As many names and values as node:http keeps of a request if the server does not say otherwise. */
const DEFAULT_MOST_RAW_HEADERS = 2000

/** Listens for upgrades; returns what stops it. */
export function listenForUpgrades (server: SelectiveServer, { route, hasRoute, timeoutMs }: UpgradeTarget): () => void {
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // node:http has taken its own listener away: without one an ECONNRESET would end the process.
    socket.on('error', ignoreError)
    if (server.listenerCount('upgrade') === 1) take(request, socket, head)
    else afterOthers(socket, hasRoute(request), timeoutMs, () => take(request, socket, head))
  }
  const take = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    afterEarlierAnswers(socket, concernsWebSocket(request) ? timeoutMs : undefined, () => {
      if (mayHideFields(server, request)) return refuseSocket(socket, 431)
      if (concernsWebSocket(request)) return new Upgrade(request, socket, head).start(route)
      socket.removeListener('error', ignoreError)
      replay(server, request, socket, head)
    })
  }
  server.on('upgrade', onUpgrade)

  const select = server.shouldUpgradeCallback
  if (select !== undefined) {
    // Whoever else listens sees what it has always seen.
    server.shouldUpgradeCallback = (request) => server.listenerCount('upgrade') > 1 ? select.call(server, request) : concernsWebSocket(request)
  }
  return () => {
    server.removeListener('upgrade', onUpgrade)
    if (select !== undefined) server.shouldUpgradeCallback = select
  }
}

/**
 * Whether WebSocket is asked for, rightly or not. What is refused then closes: a proxy that has seen the field may
 * believe in a tunnel, and what comes through it must not be read as requests.
 */
function concernsWebSocket (request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase().includes('websocket') === true
}

/** Past its limit node:http drops fields, yet obeys them: a Content-Length among them would make frames, or a request, of a body. */
function mayHideFields ({ maxHeadersCount }: Server, { rawHeaders }: IncomingMessage): boolean {
  const most = typeof maxHeadersCount === 'number' ? 2 * maxHeadersCount : DEFAULT_MOST_RAW_HEADERS
  return most > 0 && rawHeaders.length >= most
}

/**
 * Of several listeners each takes its own paths. Whoever does so begins at once, by reading or by answering; what is
 * left then and has a route is ours. What has none is refused when nobody has wanted it for so long.
 */
function afterOthers (socket: Duplex, isOurs: boolean, timeoutMs: number, take: () => void): void {
  const earlier = answerOn(socket)
  const isFree = (): boolean => {
    const answer = answerOn(socket)
    const isRead = socket.listenerCount('data') > 0 || socket.listenerCount('readable') > 0
    return !isRead && !socket.destroyed && !socket.writableEnded && (answer === undefined || answer === earlier)
  }
  if (isOurs) return queueMicrotask(() => { if (isFree()) take() })
  const timer = setTimeout(() => { if (isFree()) refuseSocket(socket, 404) }, timeoutMs)
  socket.once('close', () => clearTimeout(timer))
}

/** The response that a socket carries now. */
function answerOn (socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/** Requests that were pipelined before this one are answered first: a socket carries one response at a time. */
function afterEarlierAnswers (socket: Duplex, timeoutMs: number | undefined, go: () => void): void {
  if (answerOn(socket) === undefined) return goOn(socket, go)
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => socket.destroy(), timeoutMs)
  const look = (): void => {
    const earlier = socket.destroyed ? undefined : answerOn(socket)
    if (earlier !== undefined) {
      earlier.once('close', look)
      return
    }
    clearTimeout(timer)
    goOn(socket, go)
  }
  look()
}

function goOn (socket: Duplex, go: () => void): void {
  // Whoever has ended its side meanwhile, the client or an answer with `Connection: close`, wants nothing more.
  if (socket.readableEnded || socket.writableEnded) socket.destroy()
  if (!socket.destroyed) go()
}

/**
 * Gives a request back to the HTTP parser, without its Upgrade. By now node:http has given its body up for the
 * new protocol's first bytes, so there is no other way to have it read.
 */
function replay (server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = name.toLowerCase() === 'connection' ? withoutUpgradeFields(rawHeaders[i + 1]!) : rawHeaders[i + 1]!
    if (!UPGRADE_FIELDS.has(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  // What node:http has read as latin1 goes back as the octets that it was.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('encrypted' in socket && socket.encrypted === true ? 'secureConnection' : 'connection', socket)
}

function withoutUpgradeFields (connection: string): string {
  return connection.split(',').filter((token) => !UPGRADE_FIELDS.has(token.trim().toLowerCase())).join(',')
}
