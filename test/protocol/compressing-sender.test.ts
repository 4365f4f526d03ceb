import { syncBuiltinESMExports } from 'node:module'
import zlib, { createInflateRaw, constants } from 'node:zlib'
import t, { type Test } from 'tap'
import fc from 'fast-check'
import { CompressingSender } from '../../lib/protocol/compressing-sender.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { DeflateCodec, type DeflateSettings } from '../../lib/protocol/deflate.ts'
import { MessageSender } from '../../lib/protocol/message-sender.ts'
import { OutputBuffer, type WriteCallback } from '../../lib/protocol/output-buffer.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'
import { runZlibJob } from '../../lib/protocol/zlib-jobs.ts'
import { DEFLATE } from '../helpers/deflate.ts'
import { describe, noise, readFrames, words, type WireFrame } from '../helpers/frames.ts'

const ROLES: readonly Role[] = ['server', 'client']
const SETTINGS: DeflateSettings = { ...DEFLATE, serverNoContextTakeover: true, clientNoContextTakeover: true }
const TAKES_OVER = { serverNoContextTakeover: false, clientNoContextTakeover: false }

const SMALL = words(2000)
const LARGE = words(40_000)
const LARGE_NOISE = noise(40_000)

/** Takes all the room there is for jobs until it is called. */
function hold (): () => void {
  let release: (() => void) | undefined
  runZlibJob({ maxConcurrentJobs: 1, isWanted: () => true, start (finished) { release = finished } })
  return release!
}

/** Counts what is compressed by jobs while the test runs. */
function countJobs (t: Test): { count: number } {
  const jobs = { count: 0 }
  const { deflateRaw } = zlib
  const replace = (by: unknown): void => {
    zlib.deflateRaw = by as typeof deflateRaw
    syncBuiltinESMExports()
  }
  replace((...args: Parameters<typeof deflateRaw>) => {
    jobs.count++
    return deflateRaw(...args)
  })
  t.teardown(() => replace(deflateRaw))
  return jobs
}

/** Writes down where in the stream callbacks stand. */
class Output extends OutputBuffer {
  readonly callbacksAt: number[] = []

  override addCallback (callback: WriteCallback): void {
    this.callbacksAt.push(this.totalBytes)
    super.addCallback(callback)
  }
}

/** A sender, and what it has sent. */
function subject (role: Role, settings: Partial<DeflateSettings> | 'without a codec' = {}) {
  const output = new Output()
  const codec = settings === 'without a codec' ? undefined : new DeflateCodec(role, { ...SETTINGS, ...settings })
  let progress = 0
  let resolve: (() => void) | undefined
  const sink = {
    onProgress () {
      progress++
      resolve?.()
    }
  }
  const sender = codec === undefined ? new MessageSender(role, output) : new CompressingSender(role, output, codec, sink)
  /** When something that had to wait is written. */
  const progressed = (): Promise<void> => new Promise((_resolve) => { resolve = _resolve })
  return {
    sender,
    sink,
    output,
    codec,
    progressed,
    get progress () { return progress },
    /** When nothing waits any more. */
    async settled (): Promise<void> {
      while (sender.pendingBytes > 0) await progressed()
    },
    frames (): WireFrame[] {
      const batch = output.take()
      if (batch === undefined) return []
      const frames = readFrames(Buffer.concat(batch.chunks))
      batch.release()
      return frames
    }
  }
}

/** Inflates in order what has RSV1, by one live stream or by one for each message. */
async function inflated (frames: readonly WireFrame[], takesOver = false): Promise<WireFrame[]> {
  const found: WireFrame[] = []
  let stream = createInflateRaw()
  for (const frame of frames) {
    if (frame.rsv === 0) {
      found.push(frame)
      continue
    }
    if (!takesOver) stream = createInflateRaw()
    const parts: Buffer[] = []
    stream.removeAllListeners('data')
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.write(frame.payload)
    stream.write(Buffer.from([0, 0, 0xff, 0xff]))
    await new Promise<void>((resolve, reject) => {
      stream.once('error', reject)
      stream.flush(constants.Z_SYNC_FLUSH, resolve)
    })
    found.push({ ...frame, payload: Buffer.concat(parts) })
  }
  return found
}

/** One line for a frame: what `describe` says, with the length of a long payload. */
function brief (frame: WireFrame): string {
  const compressed = frame.rsv === 4 ? 'compressed ' : frame.rsv === 0 ? '' : 'bad '
  if (frame.payload.length < 100) return `${compressed}${describe(frame)}`
  return `${compressed}${describe({ ...frame, payload: Buffer.alloc(0) }).replace('""', String(frame.payload.length))}`
}

t.test('what is compressed', async t => {
  t.test('whole messages from the threshold on, in octets, if the sender wants it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.sender.sendText('a'.repeat(99), true, true)
      on.sender.sendText('a'.repeat(100), true, true)
      on.sender.sendText('é'.repeat(49), true, true)
      on.sender.sendText('é'.repeat(50), true, true)
      on.sender.sendText('a'.repeat(34), true, true)
      on.sender.sendBytes(Buffer.alloc(99), 2, true, true)
      on.sender.sendBytes(Buffer.alloc(100), 2, true, true)
      on.sender.sendBytes(Buffer.alloc(100, 'a'), 1, true, true)
      on.sender.sendText('a'.repeat(1000), true, false)
      on.sender.sendBytes(Buffer.alloc(1000), 2, true, false)
      on.sender.sendShared(new SharedMessage(2, Buffer.alloc(99)), true)
      on.sender.sendShared(new SharedMessage(2, Buffer.alloc(100)), true)
      on.sender.sendShared(new SharedMessage(2, Buffer.alloc(100)), false)
      const frames = on.frames()
      t.strictSame(frames.map(({ rsv }) => rsv), [0, 4, 0, 4, 0, 0, 4, 4, 0, 0, 0, 4, 0])
      t.strictSame(frames.map(({ opcode }) => opcode), [1, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2, 2, 2])
      t.ok(frames.every(({ fin, masked }) => fin && masked === (role === 'client')))
      t.strictSame((await inflated(frames)).map(({ payload }) => payload.length), [99, 100, 98, 100, 34, 99, 100, 100, 1000, 1000, 99, 100, 100])
    }
  })

  t.test('no fragments: neither the first nor the last', async t => {
    for (const role of ROLES) {
      for (const payload of [SMALL, LARGE]) {
        const on = subject(role)
        on.sender.sendBytes(payload, 2, false, true)
        on.sender.sendBytes(payload, 2, false, true)
        on.sender.sendText(payload.toString(), true, true)
        on.sender.sendText(payload.toString(), false, true)
        on.sender.sendShared(new SharedMessage(2, payload), true)
        on.sender.sendBytes(Buffer.alloc(100), 2, true, true)
        const frames = await inflated(on.frames())
        const { length } = payload
        t.strictSame(frames.map(brief), [
          `binary… ${length}`, `continuation… ${length}`, `continuation ${length}`, `text… ${length}`, `continuation ${length}`, 'compressed binary 100'
        ])
        t.ok(frames.slice(0, -1).every((frame) => frame.payload.equals(payload)))
      }
    }
  })

  t.test('what does not become smaller is sent as it is, small or large', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.sender.sendBytes(noise(1000), 2, true, true)
      on.sender.sendBytes(LARGE_NOISE, 2, true, true)
      await on.settled()
      const frames = on.frames()
      t.strictSame(frames.map(brief), ['binary 1000', 'binary 40000'])
      t.ok(frames[1]!.payload.equals(LARGE_NOISE))
    }
  })

  t.test('with a codec that fails all is sent as it is, and nothing waits for ever', async t => {
    for (const role of ROLES) {
      const on = subject(role, { level: 99 })
      const shared = new SharedMessage(1, LARGE)
      const release = hold()
      on.sender.sendText(SMALL.toString(), true, true)
      on.sender.sendBytes(LARGE, 2, true, true)
      on.sender.sendShared(shared, true)
      on.sender.sendShared(shared, true)
      on.sender.sendShared(new SharedMessage(1, LARGE), true)
      on.sender.sendControl(9, Buffer.alloc(0))
      release()
      t.equal(on.sender.pendingBytes, 0)
      t.strictSame(on.frames().map(brief), ['text 2000', 'binary 40000', 'text 40000', 'text 40000', 'text 40000', 'ping ""'])
      on.sender.sendShared(new SharedMessage(1, LARGE), true)
      on.sender.sendBytes(LARGE, 2, true, true)
      on.sender.sendControl(9, Buffer.alloc(0))
      t.equal(on.sender.pendingBytes, 0)
      t.strictSame(on.frames().map(brief), ['text 40000', 'binary 40000', 'ping ""'], 'nor where there is room at once')
    }
  })

  t.test('a hundred thousand that fail, behind one that waits, need no deep stack', async t => {
    const on = subject('server', { level: 99 })
    const shared = new SharedMessage(2, LARGE)
    const release = hold()
    on.sender.sendBytes(LARGE, 2, true, true)
    for (let i = 0; i < 100_000; i++) {
      if (i % 2 === 0) on.sender.sendBytes(LARGE, 2, true, true)
      else on.sender.sendShared(shared, true)
    }
    t.equal(on.sender.pendingBytes, 100_001 * 40_000)
    release()
    t.equal(on.sender.pendingBytes, 0)
    t.equal(on.output.payloadBytes, 100_001 * 40_000)
    on.output.take()!.release()
  })

  t.test('counts as application data as it was', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.sender.sendText(SMALL.toString(), true, true)
      on.sender.sendShared(new SharedMessage(1, SMALL), true)
      t.equal(on.output.payloadBytes, 4000)
      t.ok(on.output.byteLength < 3000)
      on.sender.sendBytes(LARGE, 2, true, true)
      on.sender.sendShared(new SharedMessage(1, LARGE), true)
      await on.settled()
      t.equal(on.output.payloadBytes, 84_000)
      on.output.take()!.release()
    }
  })
})

t.test('says whether a message of fragments is not complete, compressed or not what was sent before it', async t => {
  for (const role of ROLES) {
    const { sender, output } = subject(role)
    const release = hold()
    t.equal(sender.sendingFragments, false)
    sender.sendText('whole', true, true)
    sender.sendBytes(LARGE, 2, true, true)
    t.equal(sender.sendingFragments, false)
    sender.sendText('a', false, true)
    t.equal(sender.sendingFragments, true)
    sender.sendControl(9, Buffer.alloc(0))
    sender.pong(Buffer.alloc(0))
    sender.sendBytes(Buffer.from('b'), 2, false, true)
    t.equal(sender.sendingFragments, true)
    sender.sendShared(new SharedMessage(1, Buffer.from('c')), true)
    t.equal(sender.sendingFragments, false)
    sender.drop()
    release()
    output.take()!.release()
  }
})

t.test('while a message is being compressed by a job', async t => {
  t.test('what is sent waits behind it, in order, and a pong goes at once', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { sender, output } = on
      const log: string[] = []
      const release = hold()
      sender.sendText('before', true, true)
      sender.sendText(LARGE.toString(), true, true)
      sender.sendText('a', true, true)
      sender.sendBytes(SMALL, 2, true, true)
      sender.sendControl(9, Buffer.from('p'), () => log.push(`ping ${output.payloadBytes}`))
      sender.sendText('é', false, true)
      sender.sendText('', true, true)
      sender.sendShared(new SharedMessage(1, SMALL), true)
      sender.sendShared(new SharedMessage(1, SMALL), false)
      sender.addCallback(() => {})
      sender.sendBytes(LARGE_NOISE, 2, true, true)
      sender.sendShared(new SharedMessage(2, LARGE), true)
      sender.addCallback(() => {})
      sender.afterAll(() => log.push(`after ${output.payloadBytes}`))
      sender.sendControl(8, Buffer.from([3, 232]), () => log.push('close'))
      t.equal(sender.pendingBytes, 40_000 + 1 + 2000 + 2 + 2000 + 2000 + 40_000 + 40_000)
      sender.pong(Buffer.from('answer'))
      t.strictSame(log, [])
      t.strictSame(output.callbacksAt, [])
      t.equal(output.payloadBytes, 6)
      release()
      await on.settled()
      t.equal(on.progress, 3, 'told once for each job')
      const all = 6 + 40_000 + 1 + 2000 + 2 + 2000 + 2000 + 40_000 + 40_000
      t.strictSame(log, ['ping 42007', `after ${all}`, 'close'])
      t.equal(output.payloadBytes, all)
      const end = output.totalBytes - (role === 'server' ? 4 : 8)
      t.equal(output.callbacksAt[1], end, 'the second callback stands before the Close')
      const frames = await inflated(on.frames())
      t.strictSame(frames.map(brief), [
        'text "before"', 'pong "answer"', 'compressed text 40000', 'text "a"', 'compressed binary 2000', 'ping "p"', 'text… "é"', 'continuation ""',
        'compressed text 2000', 'text 2000', 'binary 40000', 'compressed binary 40000', 'close 1000 ""'
      ])
      t.ok(frames[2]!.payload.equals(LARGE))
    }
  })

  t.test('it is told of progress when all that could go is in the output', async t => {
    const on = subject('server')
    on.sender.sendBytes(LARGE, 2, true, true)
    on.sender.sendText('behind', true, true)
    t.equal(on.progress, 0)
    await on.progressed()
    t.equal(on.output.payloadBytes, 40_006)
    t.equal(on.sender.pendingBytes, 0)
    on.frames()
    on.sender.sendText('at once', true, true)
    t.equal(on.output.payloadBytes, 7)
    on.frames()
  })

  t.test('of small ones that waited 128 KiB are compressed in one turn, then one by a job', async t => {
    const jobs = countJobs(t)
    const on = subject('server')
    const payload = words(20_000)
    on.sender.sendBytes(LARGE, 2, true, true)
    for (let i = 0; i < 10; i++) on.sender.sendBytes(payload, 2, true, true)
    const sizes: number[] = []
    while (on.sender.pendingBytes > 0) {
      await on.progressed()
      sizes.push(on.output.payloadBytes)
    }
    t.strictSame(sizes, [40_000 + 7 * 20_000, 240_000], 'the seventh reaches the bound')
    t.equal(jobs.count, 2)
    for (let i = 0; i < 10; i++) on.sender.sendBytes(payload, 2, true, true)
    t.equal(on.sender.pendingBytes, 0, 'what does not wait is the business of whoever sends')
    t.strictSame((await inflated(on.frames())).map(brief), ['compressed binary 40000', ...Array(20).fill('compressed binary 20000')])
  })

  t.test('the window is taken over in the order of what is sent', async t => {
    for (const role of ROLES) {
      const on = subject(role, TAKES_OVER)
      const payloads = [SMALL, LARGE, SMALL, LARGE_NOISE, words(50_000, 2), LARGE, noise(500), SMALL]
      payloads.forEach((payload, i) => {
        if (i % 2 === 0) on.sender.sendBytes(payload, 2, true, true)
        else on.sender.sendShared(new SharedMessage(2, payload), true)
      })
      await on.settled()
      const frames = await inflated(on.frames(), true)
      t.ok(frames.every(({ payload }, i) => payload.equals(payloads[i]!)))
      t.strictSame(frames.map(({ rsv }) => rsv), [4, 4, 4, 0, 4, 4, 0, 4])
    }
  })

  t.test('whatever is sent comes out in order, and is always counted', async t => {
    const text = words(70_000, 4)
    const octets = noise(70_000, 4)
    const size = fc.oneof(fc.nat(300), fc.constantFrom(99, 100, 2000, 16_000, 32_768, 32_769, 40_000, 65_536))
    const action = fc.oneof(
      fc.record({ kind: fc.constantFrom('text', 'bytes', 'shared'), size, isNoise: fc.boolean(), fin: fc.boolean(), compress: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('ping', 'callback', 'after'), size: fc.constant(0), isNoise: fc.constant(false), fin: fc.constant(true), compress: fc.constant(true) }),
      fc.record({ kind: fc.constant('settle'), size: fc.constant(0), isNoise: fc.constant(false), fin: fc.constant(true), compress: fc.constant(true) })
    )
    for (const role of ROLES) {
      await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 20 }), fc.boolean(), async (actions, takesOver) => {
        const on = subject(role, takesOver ? TAKES_OVER : {})
        const plain = subject(role, 'without a codec')
        let total = 0
        const order: number[] = []
        for (const [i, { kind, size, isNoise, fin, compress }] of actions.entries()) {
          if (kind === 'settle') await on.settled()
          const payload = (isNoise ? octets : text).subarray(0, size)
          // Noise is no text: its octets become others, and more of them.
          const asText = kind === 'text' ? Buffer.from(payload.toString('latin1')) : payload
          for (const sender of [on.sender, plain.sender]) {
            if (kind === 'text') sender.sendText(payload.toString('latin1'), fin, compress)
            else if (kind === 'bytes') sender.sendBytes(payload, 2, fin, compress)
            else if (kind === 'shared') sender.sendShared(new SharedMessage(2, payload), compress)
            else if (kind === 'ping') sender.sendControl(9, Buffer.from(`${i}`))
            else if (kind === 'callback') sender.addCallback(() => {})
          }
          if (kind === 'after') on.sender.afterAll(() => order.push(i))
          total += asText.length
          if (on.sender.pendingBytes + on.output.payloadBytes !== total) return false
        }
        await on.settled()
        if (on.output.payloadBytes !== total) return false
        const found = await inflated(on.frames(), takesOver)
        const wanted = plain.frames()
        const after = [...actions.entries()].filter(([, { kind }]) => kind === 'after').map(([i]) => i)
        return found.length === wanted.length && order.join() === after.join() && on.output.callbacksAt.length === plain.output.callbacksAt.length &&
          found.every((frame, i) => frame.payload.equals(wanted[i]!.payload) && frame.opcode === wanted[i]!.opcode && frame.fin === wanted[i]!.fin)
      }), { numRuns: 60 })
      t.pass(role)
    }
  })
})

t.test('shared messages', async t => {
  t.test('are compressed once for all that compress alike, at once or by a job', async t => {
    for (const payload of [SMALL, LARGE]) {
      const message = new SharedMessage(1, payload)
      const all = [subject('server'), subject('server'), subject('server', { serverMaxWindowBits: 10 }), subject('server', TAKES_OVER), subject('client')]
      for (const { sender } of all) sender.sendShared(message, true)
      for (const on of all) await on.settled()
      const chunks = all.map(({ output }) => {
        const batch = output.take()!
        const [chunk] = batch.chunks as [Buffer]
        const found = { chunk, count: batch.chunks.length, bytes: Buffer.concat(batch.chunks) }
        batch.release()
        return found
      })
      t.equal(chunks[0]!.chunk, chunks[1]!.chunk, 'the same frame')
      t.equal(chunks[0]!.count, 1)
      t.not(chunks[2]!.chunk, chunks[0]!.chunk, 'another window')
      t.not(chunks[3]!.chunk, chunks[0]!.chunk, 'a window of its own')
      t.not(chunks[4]!.chunk, chunks[0]!.chunk, 'masked')
      for (const { bytes } of chunks) {
        const [frame] = await inflated(readFrames(bytes))
        t.equal(brief(frame!), `compressed text ${payload.length}`)
        t.ok(frame!.payload.equals(payload))
      }
    }
  })

  t.test('by one job, if it comes to that', async t => {
    const jobs = countJobs(t)
    const message = new SharedMessage(1, LARGE)
    const all = Array.from({ length: 10 }, () => subject('server'))
    for (const { sender } of all) {
      sender.sendShared(message, true)
      sender.sendShared(message, true)
    }
    for (const on of all) {
      await on.settled()
      t.strictSame(on.frames().map(brief).length, 2)
    }
    t.equal(jobs.count, 1)
  })

  t.test('are compressed anew for each window that is taken over', async t => {
    for (const payload of [SMALL, LARGE]) {
      const message = new SharedMessage(1, payload)
      const [fresh, used] = [subject('server', TAKES_OVER), subject('server', TAKES_OVER)]
      used.sender.sendBytes(words(3000, 7), 2, true, true)
      for (const on of [fresh, used, fresh, used]) on.sender.sendShared(message, true)
      for (const on of [fresh, used]) {
        await on.settled()
        const frames = on.frames()
        t.ok((await inflated(frames, true)).slice(-2).every((frame) => frame.payload.equals(payload)))
        t.ok(frames.at(-1)!.payload.length < frames.at(-2)!.payload.length, 'the second refers to the first')
      }
    }
  })

  t.test('the frame that is not compressed is shared too: without a codec, below the threshold, by choice, with takeover as well', async t => {
    const message = new SharedMessage(1, SMALL)
    for (const [settings, compress] of [[{}, false], [{ thresholdBytes: 2001 }, true], [TAKES_OVER, false]] as const) {
      const { sender, output } = subject('server', settings)
      sender.sendShared(message, compress)
      t.equal(output.payloadBytes, 2000)
      const batch = output.take()!
      t.strictSame(batch.chunks.map((chunk) => chunk === message.frame), [true])
      batch.release()
    }
  })

  t.test('among fragments one is the last of them, and does not wait for a job of its own', async t => {
    const on = subject('server')
    const message = new SharedMessage(2, LARGE)
    on.sender.sendText('a', false, true)
    on.sender.sendShared(message, true)
    t.equal(on.sender.pendingBytes, 0)
    on.sender.sendText('b', true, true)
    t.strictSame(on.frames().map(brief), ['text… "a"', 'continuation 40000', 'text "b"'])
  })

  t.test('one that is lost does not hold up the others', async t => {
    const message = new SharedMessage(2, LARGE)
    const [lost, stopped, other] = [subject('server'), subject('server'), subject('server')]
    const release = hold()
    for (const { sender } of [lost, stopped, other]) sender.sendShared(message, true)
    t.equal(lost.sender.drop(), 40_000)
    stopped.sender.stop()
    release()
    await other.settled()
    t.equal(brief(other.frames()[0]!).startsWith('compressed binary'), true)
    t.strictSame([lost.frames(), stopped.frames()], [[], []])
    t.equal(lost.sender.pendingBytes, 0)
    t.equal(stopped.sender.drop(), 40_000)
  })

  t.test('one that is sent twice while it is compressed', async t => {
    const on = subject('server')
    const message = new SharedMessage(2, LARGE)
    for (let i = 0; i < 3; i++) on.sender.sendShared(message, true)
    t.equal(on.sender.pendingBytes, 120_000)
    await on.progressed()
    t.equal(on.progress, 1)
    t.equal(on.sender.pendingBytes, 0)
    const batch = on.output.take()!
    t.equal(batch.chunks.length, 3)
    t.equal(new Set(batch.chunks).size, 1)
    t.equal(batch.payloadBytes, 120_000)
    batch.release()
  })
})

t.test('stop: nothing more of what waits is compressed or written', async t => {
  const jobs = countJobs(t)
  for (const role of ROLES) {
    for (const running of [false, true]) {
      const on = subject(role)
      const log: string[] = []
      const release = hold()
      on.sender.sendText('before', true, true)
      on.sender.sendBytes(LARGE, 2, true, true)
      on.sender.sendText('behind', true, true)
      on.sender.sendControl(8, Buffer.alloc(0), () => log.push('close'))
      on.sender.afterAll(() => log.push('after'))
      on.sender.addCallback(() => {})
      if (running) release()
      on.sender.stop()
      if (!running) release()
      // A job that comes later is done later: the pool takes them in order.
      const later = subject(role)
      later.sender.sendBytes(LARGE, 2, true, true)
      await later.settled()
      later.frames()
      t.equal(jobs.count, running ? 2 : 1)
      jobs.count = 0
      t.equal(on.progress, 0)
      t.strictSame(on.frames().map(brief), ['text "before"'])
      t.equal(on.sender.pendingBytes, 40_006, 'it stays counted')
      t.equal(on.sender.drop(), 40_006)
      t.equal(on.sender.pendingBytes, 0)
      t.equal(on.sender.drop(), 0)
      t.strictSame(log, [])
    }
  }
})

t.test('drop: what waits is lost and counted, its callbacks are with the output', async t => {
  for (const role of ROLES) {
    for (const running of [false, true]) {
      const on = subject(role)
      const log: string[] = []
      const release = hold()
      const callbacks: WriteCallback[] = [() => log.push('1'), () => log.push('2'), () => log.push('3')]
      on.sender.addCallback(callbacks[0]!)
      on.sender.sendShared(new SharedMessage(1, LARGE), true)
      on.sender.addCallback(callbacks[1]!)
      on.sender.sendBytes(SMALL, 2, true, true)
      on.sender.sendControl(9, Buffer.alloc(0), () => log.push('ping'))
      on.sender.afterAll(() => log.push('after'))
      on.sender.addCallback(callbacks[2]!)
      if (running) release()
      t.equal(on.sender.drop(), 42_000)
      t.equal(on.sender.pendingBytes, 0)
      const batch = on.output.take()!
      t.strictSame(batch.callbacks, callbacks, 'in order')
      t.equal(batch.byteLength, 0)
      batch.release()
      t.equal(on.sender.drop(), 0)
      t.equal(on.output.take(), undefined, 'once')
      if (!running) release()
      const later = subject(role)
      later.sender.sendBytes(LARGE, 2, true, true)
      await later.settled()
      later.frames()
      t.equal(on.progress, 0)
      t.equal(on.output.take(), undefined)
      t.equal(on.sender.pendingBytes, 0)
      t.strictSame(log, [])
    }
  }
  const idle = subject('server')
  t.equal(idle.sender.drop(), 0)
  t.equal(idle.output.take(), undefined)
})
