/**
 * examples/file-upload.js: files arrive whole or not at all, and as fast as the disk.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { build, upload } from '../../examples/file-upload.js'
import { closing, connected, listening, until } from './helpers.js'

const PIECE = 256 * 1024
const MIB = 1024 ** 2

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

async function start (t, options) {
  const folder = await mkdtemp(join(tmpdir(), 'duplex-upload-'))
  const app = closing(t, build({ folder, ...options }))
  t.after(() => rm(folder, { recursive: true }))
  return { app, folder }
}

const isEmpty = (folder) => until(async () => (await readdir(folder)).length === 0)

test('a file in pieces is stored as it was, and each piece is answered', async (t) => {
  const { app, folder } = await start(t)
  const file = randomBytes(2 * PIECE + 1)
  const client = await app.injectWebSocket(upload)
  for (let at = 0; at < file.length; at += PIECE) client.send(file.subarray(at, at + PIECE))
  client.send({ type: 'done', sha256: sha256(file) })
  for (const received of [PIECE, 2 * PIECE, file.length]) assert.deepEqual(await client.next(), { type: 'progress', received })
  const { type, id, size } = await client.next()
  assert.deepEqual([type, size], ['stored', file.length])
  assert.equal((await client.closed).code, 1000)
  assert.deepEqual(await readdir(folder), [id])
  assert.ok((await readFile(join(folder, id))).equals(file))
})

test('a file above the limit is refused with 1009, and nothing of it stays', async (t) => {
  const { app, folder } = await start(t, { maxFileBytes: 1000 })
  const client = await app.injectWebSocket(upload)
  client.send(randomBytes(1000))
  assert.deepEqual(await client.next(), { type: 'progress', received: 1000 })
  client.send(randomBytes(1))
  assert.deepEqual(await client.closed, { code: 1009, reason: 'the file is too large', wasClean: true })
  await isEmpty(folder)
})

test('a piece above the limit is refused with 1009 too', async (t) => {
  const { app, folder } = await start(t)
  const client = await app.injectWebSocket(upload)
  client.send(randomBytes(PIECE + 1))
  assert.equal((await client.closed).code, 1009)
  await isEmpty(folder)
})

test('another file than the client says is refused with 4000', async (t) => {
  const { app, folder } = await start(t)
  const client = await app.injectWebSocket(upload)
  client.send(randomBytes(10))
  client.send({ type: 'done', sha256: sha256('another') })
  assert.equal((await client.closed).code, 4000)
  await isEmpty(folder)
})

test('a client that leaves half-way leaves nothing behind', async (t) => {
  const { app, folder } = await start(t)
  for (const leave of ['close', 'terminate']) {
    const client = await app.injectWebSocket(upload)
    client.send(randomBytes(10))
    await client.next()
    assert.equal((await readdir(folder)).length, 1)
    client[leave]()
    await isEmpty(folder)
  }
})

test('an error of the disk closes with 1011, and nothing stays', async (t) => {
  const { app, folder } = await start(t)
  await handleMethod(t, 'appendFile', async () => { throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }) })
  const client = await app.injectWebSocket(upload)
  client.send(randomBytes(10))
  assert.equal((await client.closed).code, 1011)
  await isEmpty(folder)
})

test('who sends faster than the disk writes is held up', async (t) => {
  const { app, folder } = await start(t)
  const disk = withResolvers()
  await handleMethod(t, 'appendFile', async function (original, ...args) {
    await disk.promise
    return original.apply(this, args)
  })
  const client = await connected(t, `ws://${await listening(t, app)}/upload`)
  const file = randomBytes(64 * MIB)
  for (let at = 0; at < file.length; at += PIECE) client.send(file.subarray(at, at + PIECE))
  client.send(JSON.stringify({ type: 'done', sha256: sha256(file) }))
  await setTimeout(500)
  const { bytesReceived } = app.websockets.stats()[upload.url]
  assert.ok(bytesReceived < 2 * MIB, `${bytesReceived} octets were read while the disk stood still`)
  assert.ok(client.bufferedAmount > 32 * MIB, `${client.bufferedAmount} octets wait at the client`)

  disk.resolve()
  let last
  client.on('message', (data) => { last = JSON.parse(data) })
  await once(client, 'close')
  assert.deepEqual([last.type, last.size], ['stored', file.length])
  assert.equal(sha256(await readFile(join(folder, last.id))), sha256(file))
})

/** Another method for all file handles, which gets the original first. */
async function handleMethod (t, name, method) {
  const handle = await open(import.meta.filename)
  const prototype = Object.getPrototypeOf(handle)
  await handle.close()
  const original = prototype[name]
  t.mock.method(prototype, name, function (...args) { return method.call(this, original, ...args) })
}

function withResolvers () {
  let resolve
  const promise = new Promise((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
