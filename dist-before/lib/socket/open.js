import { FST_WS_ERR_SOCKET } from '../errors.js';
import { Connection } from '../protocol/connection.js';
import { Transport } from '../transport/transport.js';
import { Receiver } from './receiver.js';
import { Watch } from './watch.js';
import { WebSocket } from './websocket.js';
/** Makes a WebSocket of a stream whose opening handshake is done. Nothing is read before `start`. */
export function openWebSocket(duplex, options) {
    const { role, subprotocol, deflate, limits, faults } = options;
    const connection = new Connection({
        role,
        maxMessageBytes: limits.maxMessageBytes,
        textAs: subprotocol.textAs,
        highWaterMarkBytes: limits.highWaterMarkBytes,
        autoPong: limits.autoPong ?? true,
        deflate,
        rateLimit: limits.rateLimit
    });
    const transport = new Transport(duplex, connection, limits);
    const receiver = new Receiver(connection, subprotocol, limits, faults);
    connection.handler = receiver;
    transport.onError = (error) => receiver.onSocketError(error);
    const watch = receiver.watch = new Watch(connection, transport, limits, options.ticker, () => {
        transport.terminate();
        receiver.fault('socket', new FST_WS_ERR_SOCKET('the peer gave no sign of life'));
    });
    const socket = new WebSocket({ connection, transport, receiver, watch, ...options });
    return {
        socket,
        connection,
        receiver,
        watch,
        start(head) {
            watch.start();
            receiver.opened();
            transport.start(head);
        }
    };
}
