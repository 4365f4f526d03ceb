/**
 * A WebSocket as a Node Duplex: messages in object mode on typed routes, bytes on raw ones. Backpressure goes both
 * ways; ending the stream closes with 1000, destroying it terminates, and the end of the connection ends it.
 */
import { Duplex } from 'node:stream';
import { FST_WS_ERR_DATA_TYPE } from '../errors.js';
import { END } from './receiver.js';
/** Throws FST_WS_ERR_TAKEN if messages go elsewhere. */
export function messageStream(receiver, socket, objectMode) {
    receiver.acquire('a stream');
    let ended = false;
    const waiter = {
        endsWhenClosing: false,
        asOctets: true,
        settle(message) {
            if (message === END) {
                ended = true;
                stream.push(null);
            }
            else if (message === null) {
                stream.destroy(new FST_WS_ERR_DATA_TYPE('A stream cannot carry the message null: take messages in another way'));
            }
            else if (!objectMode && message.length === 0) {
                // An empty message is nothing to a stream of bytes, which would wait for more.
                receiver.take(waiter);
            }
            else {
                stream.push(message);
            }
        }
    };
    const stream = new Duplex({
        readableObjectMode: objectMode,
        writableObjectMode: objectMode,
        // The connection ends as a whole: when nothing more comes, nothing more can be sent.
        allowHalfOpen: false,
        read() {
            receiver.take(waiter);
        },
        write(message, _encoding, callback) {
            try {
                socket.send(message, callback);
            }
            catch (error) {
                callback(error);
            }
        },
        final(callback) {
            socket.close(1000);
            callback();
        },
        destroy(error, callback) {
            receiver.forget(waiter);
            receiver.release();
            if (!ended)
                socket.terminate();
            callback(error);
        }
    });
    // A peer that leaves makes a write fail: those who listen, and pipeline, see it, and nobody else has to.
    stream.on('error', ignore);
    return stream;
}
function ignore() { }
