/**
 * A WebSocket as a Node Duplex: messages in object mode on typed routes, bytes on raw ones. Backpressure goes both
 * ways; ending the stream closes with 1000, destroying it terminates, and the end of the connection ends it.
 */
import { Duplex } from 'node:stream'
import { FST_WS_ERR_DATA_TYPE } from '../errors.ts'
import { END, type Receiver, type Waiter } from './receiver.ts'

/** What the stream needs of a socket. */
export interface StreamSocket {
  send (message: any, callback: (error?: Error) => void): boolean
  close (code: number): void
  terminate (): void
}

/** Throws FST_WS_ERR_TAKEN if messages go elsewhere. */
export function messageStream (receiver: Receiver, socket: StreamSocket, objectMode: boolean): Duplex {
  receiver.acquire('a stream')
  let ended = false

  const waiter: Waiter = {
    endsWhenClosing: false,
    asOctets: true,
    settle (message: unknown): void {
      if (message === END) {
        ended = true
        stream.push(null)
      } else if (message === null) {
        stream.destroy(new FST_WS_ERR_DATA_TYPE('A stream cannot carry the message null: take messages in another way'))
      } else if (!objectMode && (message as Buffer | string).length === 0) {
        // An empty message is nothing to a stream of bytes, which would wait for more.
        receiver.take(waiter)
      } else {
        stream.push(message)
      }
    }
  }

  const stream = new Duplex({
    readableObjectMode: objectMode,
    writableObjectMode: objectMode,
    // The connection ends as a whole: when nothing more comes, nothing more can be sent.
    allowHalfOpen: false,
    read () {
      receiver.take(waiter)
    },
    write (message, _encoding, callback) {
      try {
        socket.send(message, callback)
      } catch (error) {
        callback(error as Error)
      }
    },
    final (callback) {
      socket.close(1000)
      callback()
    },
    destroy (error, callback) {
      receiver.forget(waiter)
      receiver.release()
      if (!ended) socket.terminate()
      callback(error)
    }
  })
  // A peer that leaves makes a write fail: those who listen, and pipeline, see it, and nobody else has to.
  stream.on('error', ignore)
  return stream
}

function ignore (): void {}
