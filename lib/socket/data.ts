/**
 * What can be sent on a raw route, as bytes.
 */
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { FST_WS_ERR_DATA_TYPE } from '../errors.ts'

/** A number is sent as its decimal text. */
export type Data = string | ArrayBuffer | ArrayBufferView | number

/** The bytes of the data, where possible without a copy. Throws FST_WS_ERR_DATA_TYPE. */
export function toBytes (data: Data): Uint8Array {
  if (types.isUint8Array(data)) return data
  if (typeof data === 'string') return Buffer.from(data)
  if (typeof data === 'number') return Buffer.from(String(data))
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (types.isAnyArrayBuffer(data)) return new Uint8Array(data)
  throw new FST_WS_ERR_DATA_TYPE('Only a string, a Buffer, an ArrayBuffer or a view of one can be sent; a Blob has to be read first')
}
