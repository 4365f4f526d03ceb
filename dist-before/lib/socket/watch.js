/**
 * What time does to a connection: the heartbeat finds peers that are gone, a message that was begun must be finished,
 * and a session ends when it is due. All on one shared tick, which is a second at most.
 */
import { Buffer } from 'node:buffer';
import { CloseCode } from '../protocol/constants.js';
import { State } from '../protocol/connection.js';
import { ProtocolError } from '../protocol/errors.js';
const LONGEST_PERIOD_MS = 1_000;
/** What is asked for in milliseconds is kept to a quarter of it. */
const PERIODS = 4;
export class Watch {
    /** Milliseconds from the last heartbeat's ping to its pong; NaN before. */
    latencyMs = NaN;
    #connection;
    #transport;
    #limits;
    #ticker;
    #periodMs;
    #onDead;
    /** Whether we read at the last tick. */
    #wasReading = false;
    #bytesSeen = 0;
    #progress = 0;
    /** Since the peer was heard last, or pinged, while we read. */
    #silentMs = 0;
    /** Since the application, or a full queue, has stopped reading. */
    #pausedMs = 0;
    #messagesSeen = 0;
    #wasUnfinished = false;
    #unfinishedMs = 0;
    /** Whether the peer has got a ping for its silence. */
    #pinged = false;
    /** Whether that is still ours to send, behind other octets. */
    #pingWaits = false;
    /** The last ping that was not answered yet. */
    #ping;
    #pingedAt = 0;
    #pings = 0;
    #deadline;
    #endOfLife = Infinity;
    /** `onDead` is called when the peer is taken for dead, and terminates. */
    constructor(connection, transport, limits, ticker, onDead) {
        this.#connection = connection;
        this.#transport = transport;
        this.#limits = limits;
        this.#ticker = ticker;
        this.#periodMs = periodFor(limits);
        this.#onDead = onDead;
    }
    /** Begins to tick, if there is something to watch. */
    start() {
        if (this.#connection.state !== State.Open)
            return;
        const { heartbeat, messageTimeoutMs } = this.#limits;
        if (heartbeat !== false || messageTimeoutMs > 0 || this.#endOfLife !== Infinity || this.#deadline !== undefined)
            this.#ticker.add(this.#periodMs, this);
    }
    stop() {
        this.#ticker.delete(this.#periodMs, this);
    }
    /** Closes at this time (milliseconds since 1970), within a tick; `undefined` cancels. */
    closeAt(at, code, reason) {
        this.#deadline = at === undefined ? undefined : { at, code, reason };
        this.start();
    }
    /** No deadline reaches further. */
    endAt(at) {
        this.#endOfLife = at;
    }
    /** A pong came. */
    ponged(payload) {
        if (this.#ping === undefined || !this.#ping.equals(payload))
            return;
        this.#ping = undefined;
        this.latencyMs = performance.now() - this.#pingedAt;
    }
    tick() {
        const connection = this.#connection;
        if (connection.state !== State.Open)
            return this.stop();
        this.#checkDeadlines();
        const { reading } = this.#transport;
        // What came during a pause may not be read yet at the first tick after it.
        const counts = reading && this.#wasReading;
        this.#wasReading = reading;
        if (counts)
            this.#checkMessage();
        this.#checkLife(reading, counts);
    }
    #checkDeadlines() {
        const now = Date.now();
        if (now >= this.#endOfLife)
            this.#connection.close(EXPIRED.code, EXPIRED.reason);
        else if (this.#deadline !== undefined && now >= this.#deadline.at)
            this.#connection.close(this.#deadline.code, this.#deadline.reason);
    }
    #checkMessage() {
        const { unfinished, messagesReceived } = this.#connection;
        // At the tick that sees it first it may just have begun.
        const goesOn = unfinished && this.#wasUnfinished && messagesReceived === this.#messagesSeen;
        this.#unfinishedMs = goesOn ? this.#unfinishedMs + this.#periodMs : 0;
        this.#wasUnfinished = unfinished;
        this.#messagesSeen = messagesReceived;
        const { messageTimeoutMs } = this.#limits;
        if (messageTimeoutMs > 0 && this.#unfinishedMs >= messageTimeoutMs) {
            this.#connection.fail(new ProtocolError(CloseCode.PolicyViolation, `a message was not finished within ${messageTimeoutMs} ms`));
        }
    }
    #checkLife(reading, counts) {
        const { heartbeat } = this.#limits;
        const connection = this.#connection;
        if (heartbeat === false || connection.state !== State.Open)
            return;
        if (connection.bytesReceived !== this.#bytesSeen) {
            this.#bytesSeen = connection.bytesReceived;
            this.#silentMs = this.#pausedMs = 0;
            this.#pinged = false;
        }
        else if (!reading) {
            this.#pingWhilePaused(heartbeat);
        }
        else if (counts) {
            this.#countSilence(heartbeat);
        }
    }
    /** What is not read cannot be missed, but a write tells whether the peer has left. */
    #pingWhilePaused({ intervalMs }) {
        this.#pausedMs += this.#periodMs;
        if (this.#pausedMs < intervalMs || this.#transport.unsentBytes > 0)
            return;
        this.#pausedMs = 0;
        this.#connection.ping(NOTHING);
    }
    #countSilence({ intervalMs, timeoutMs }) {
        this.#silentMs += this.#periodMs;
        const { progress } = this.#transport;
        if (!this.#pinged) {
            if (this.#silentMs >= intervalMs)
                this.#sendPing();
        }
        else if (this.#pingWaits && progress !== this.#progress) {
            // While our ping waits behind other octets, a peer that takes them is alive.
            this.#silentMs = 0;
        }
        else if (this.#silentMs >= timeoutMs) {
            this.#onDead();
        }
        this.#progress = progress;
    }
    #sendPing() {
        const ping = this.#ping = Buffer.from(String(++this.#pings));
        this.#silentMs = 0;
        this.#pinged = this.#pingWaits = true;
        this.#pingedAt = performance.now();
        this.#connection.ping(ping);
        this.#connection.addCallback(() => {
            if (this.#ping === ping)
                this.#pingLeft();
        });
    }
    #pingLeft() {
        this.#silentMs = 0;
        this.#pingWaits = false;
    }
}
const NOTHING = Buffer.alloc(0);
/** A Date, or milliseconds since 1970, as the latter; undefined for what is no time. */
export function timeOf(when) {
    const at = when instanceof Date ? when.getTime() : when;
    return typeof at === 'number' && !Number.isNaN(at) ? at : undefined;
}
/** What ends a session by default. */
export const EXPIRED = { code: 3000, reason: 'expired' };
function periodFor({ heartbeat, messageTimeoutMs }) {
    const times = heartbeat === false ? [] : [heartbeat.intervalMs, heartbeat.timeoutMs];
    if (messageTimeoutMs > 0)
        times.push(messageTimeoutMs);
    return Math.max(1, Math.min(LONGEST_PERIOD_MS, Math.floor(Math.min(...times) / PERIODS)));
}
