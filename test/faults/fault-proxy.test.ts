/**
 * That the bad network of the other tests is as bad as it says: each of its faults is seen at the other end.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { FaultProxy, type Link } from '../helpers/fault-proxy.ts'
import { noise } from '../helpers/frames.ts'

/** One end: what came, in which reads, and how it ended. */
class End {
  readonly reads: Buffer[] = []
  readonly socket: Socket
  #ending: Promise<string>

  constructor (socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.reads.push(chunk))
    this.#ending = new Promise((resolve) => {
      socket.on('end', () => resolve('end'))
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
    })
  }

  get received (): Buffer { return Buffer.concat(this.reads) }
  /** 'end', or the code of the error. */
  get ending (): Promise<string> { return this.#ending }

  async until (bytes: number): Promise<Buffer> {
    while (this.received.length < bytes) await once(this.socket, 'data')
    return this.received
  }
}

interface Ends { readonly client: End, readonly server: End, readonly link: Link, readonly proxy: FaultProxy }

async function open (t: Test, onLink: (link: Link) => void = () => {}): Promise<Ends> {
  const listener = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const proxy = await FaultProxy.start(t, (listener.address() as AddressInfo).port)
  proxy.onLink = onLink
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const [accepted] = await once(listener, 'connection')
  t.teardown(() => {
    socket.destroy()
    accepted.destroy()
    listener.close()
  })
  return { client: new End(socket), server: new End(accepted), link: proxy.link, proxy }
}

t.test('told nothing, it carries octets, ends and resets', async (t) => {
  const { client, server } = await open(t)
  const data = noise(200_000)
  client.socket.end(data)
  t.ok((await server.until(data.length)).equals(data))
  t.equal(await server.ending, 'end')
  server.socket.write('still')
  t.equal(String(await client.until(5)), 'still', 'the other direction is open')
  server.socket.resetAndDestroy()
  t.equal(await client.ending, 'ECONNRESET')
})

t.test('slices arrive one by one', async (t) => {
  const { client, server } = await open(t, (link) => { link.up.pieceBytes = () => 1 })
  client.socket.write('sliced')
  await server.until(6)
  t.strictSame(server.reads.map(String), [...'sliced'])
})

t.test('latency and rate take their time', async (t) => {
  const { client, server, link } = await open(t)
  link.up.latencyMs = 50
  link.down.bytesPerSecond = 100_000
  const start = performance.now()
  client.socket.write('late')
  await server.until(4)
  t.ok(performance.now() - start >= 49)
  server.socket.write(noise(10_000))
  await client.until(10_000)
  t.ok(performance.now() - start >= 149)
  t.ok(client.reads.length > 5, 'in pieces')
})

t.test('a reset, of both or of one', async (t) => {
  for (const whom of ['both', 'client', 'server'] as const) {
    const { client, server, link } = await open(t)
    link.reset(whom)
    if (whom !== 'server') t.equal(await client.ending, 'ECONNRESET')
    if (whom !== 'client') t.equal(await server.ending, 'ECONNRESET')
    // Of the side that was spared nobody is told, whatever it says.
    const spared = whom === 'client' ? server : client
    spared.socket.write('into nothing')
    if (whom !== 'both') t.equal(await Promise.race([spared.ending, nothingIn(50)]), 'nothing')
  }
})

t.test('a black hole takes octets and ends, in one direction or both', async (t) => {
  const { client, server, link } = await open(t)
  link.up.lost = true
  client.socket.end('lost')
  server.socket.write('carried')
  t.equal(String(await client.until(7)), 'carried')
  link.lose()
  server.socket.end('lost')
  t.equal(await Promise.race([client.ending, server.ending, nothingIn(50)]), 'nothing')
  t.equal(server.received.length, 0)
  t.equal(String(client.received), 'carried')
})

t.test('an end that the sender knows nothing of', async (t) => {
  const { client, server, link } = await open(t)
  link.up.end()
  t.equal(await server.ending, 'end')
  client.socket.write('lost')
  server.socket.write('carried')
  t.equal(String(await client.until(7)), 'carried')
  t.equal(server.received.length, 0)
})

t.test('a cut after so many octets: an end, a reset, or nothing more', async (t) => {
  for (const [cut, ending] of [['end', 'end'], ['reset', 'ECONNRESET'], ['lose', 'nothing']] as const) {
    const { client, server } = await open(t, (link) => {
      link.down.cutAfterBytes = 5
      link.down.cut = cut
    })
    server.socket.write('12')
    server.socket.write('34567')
    t.equal(String(await client.until(5)), '12345')
    t.equal(await (cut === 'lose' ? Promise.race([client.ending, nothingIn(50)]) : client.ending), ending)
    t.equal(client.received.length, 5)
  }
})

t.test('damage is one bit', async (t) => {
  const { client, server } = await open(t, (link) => { link.up.damagedOffset = 3 })
  client.socket.write('ab')
  client.socket.write('cde')
  t.equal(String(await server.until(5)), 'abcee')
})

t.test('a stall fills the sender, and loses nothing', async (t) => {
  const { client, server, link } = await open(t)
  link.up.stall()
  const data = Buffer.alloc(16 * 2 ** 20, 'x')
  let written = false
  client.socket.write(data, () => { written = true })
  t.equal(await Promise.race([server.ending, nothingIn(50)]), 'nothing')
  t.equal(server.received.length, 0)
  t.notOk(written, 'the kernel does not take it')
  link.up.resume()
  let bytes = 0
  for (const chunk of server.reads.splice(0)) bytes += chunk.length
  while (bytes < data.length) {
    await once(server.socket, 'data')
    for (const chunk of server.reads.splice(0)) bytes += chunk.length
  }
  t.equal(bytes, data.length)
})

t.test('close ends whatever it holds, a stalled connection too', async (t) => {
  const { link, proxy } = await open(t)
  link.up.stall()
  await proxy.close()
  t.pass()
})

function nothingIn (milliseconds: number): Promise<string> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds, 'nothing') })
}
