import t from 'tap'
import fc from 'fast-check'
import { MAX_RANGE_BYTES, OutputBuffer, type OutputBatch } from '../../lib/protocol/output-buffer.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'

const SHARED_BYTES = 64 * 1024

/** Writes these octets as the frame writer does, reserving more than is needed. Returns the offset. */
function put (output: OutputBuffer, bytes: Uint8Array, spare = 0, payloadBytes = bytes.length): number {
  const at = output.reserve(bytes.length + spare)
  output.buffer.set(bytes, at)
  output.commit(bytes.length, payloadBytes)
  return at
}

function bytesOf (batch: OutputBatch): Buffer {
  return Buffer.concat(batch.chunks)
}

t.test('gathers what is added in order, and hands it over once', async t => {
  const output = new OutputBuffer()
  t.equal(output.take(), undefined)
  put(output, Buffer.from('one '), 10)
  put(output, Buffer.from('two '))
  output.append(Buffer.from('three '), 5)
  put(output, Buffer.from('four'), 3)
  const batch = output.take()!
  t.equal(bytesOf(batch).toString(), 'one two three four')
  t.equal(output.take(), undefined)
  put(output, Buffer.from('five'))
  const next = output.take()!
  t.equal(bytesOf(next).toString(), 'five')
  t.equal(bytesOf(batch).toString(), 'one two three four')
  batch.release()
  next.release()
})

t.test('adjacent ranges of one connection are one chunk', async t => {
  const output = new OutputBuffer()
  for (let i = 0; i < 100; i++) put(output, Buffer.from('12345'), 20)
  const batch = output.take()!
  t.equal(batch.chunks.length, 1)
  t.equal(batch.chunks[0]!.length, 500)
  t.equal(batch.regions.length, 1)
  batch.release()
})

t.test('ranges of connections that write by turns are chunks of their own, none over another', async t => {
  const one = new OutputBuffer()
  const two = new OutputBuffer()
  for (const text of ['a', 'b', 'c']) {
    put(one, Buffer.from(`1${text}`), 5)
    put(two, Buffer.from(`2${text}`), 5)
  }
  const first = one.take()!
  const second = two.take()!
  t.equal(bytesOf(first).toString(), '1a1b1c')
  t.equal(bytesOf(second).toString(), '2a2b2c')
  t.equal(first.chunks.length, 3)
  first.release()
  second.release()
})

t.test('a chunk that is appended is handed over as it is', async t => {
  const output = new OutputBuffer()
  const chunk = Buffer.from('large')
  output.append(chunk, 5)
  const batch = output.take()!
  t.equal(batch.chunks.length, 1)
  t.equal(batch.chunks[0], chunk)
  t.equal(batch.regions.length, 0)
  batch.release()
})

t.test('frames that several connections send one after the other are one chunk, the same for all', async t => {
  const frames = ['one', 'two', 'three'].map((text) => new SharedMessage(1, Buffer.from(text)).frame)
  const [first, second, late, blocked] = [new OutputBuffer(), new OutputBuffer(), new OutputBuffer(), new OutputBuffer()]
  blocked.blocked = true
  for (const frame of frames) {
    for (const output of frame === frames[0] ? [first, second, blocked] : [first, second, late, blocked]) output.appendShared(frame, frame.length - 2)
  }
  const batches = [first, second, late, blocked].map((output) => output.take()!)
  t.strictSame(batches.map(({ chunks }) => chunks.length), [1, 1, 1, 3], 'who is blocked copies nothing')
  t.equal(batches[1]!.chunks[0], batches[0]!.chunks[0])
  t.strictSame(batches[3]!.chunks, frames)
  for (const batch of batches) {
    const expected = Buffer.concat(batch === batches[2] ? frames.slice(1) : frames)
    t.ok(bytesOf(batch).equals(expected))
    t.equal(batch.byteLength, expected.length)
    t.equal(batch.payloadBytes, batch === batches[2] ? 8 : 11)
    batch.release()
  }
})

t.test('what lies between shared frames stays between them', async t => {
  const output = new OutputBuffer()
  const [one, two] = ['one', 'two'].map((text) => new SharedMessage(1, Buffer.from(text)).frame) as [Buffer, Buffer]
  put(output, Buffer.from('own '))
  output.appendShared(one, 3)
  put(output, Buffer.from(' own '))
  put(output, Buffer.from('own '))
  output.appendShared(two, 3)
  output.appendShared(one, 3)
  const batch = output.take()!
  t.equal(bytesOf(batch).toString('latin1'), 'own \x81\x03one own own \x81\x03two\x81\x03one')
  batch.release()
})

t.test('counts what waits', async t => {
  const output = new OutputBuffer()
  t.equal(output.byteLength, 0)
  t.equal(output.payloadBytes, 0)
  t.equal(output.totalBytes, 0)
  put(output, Buffer.alloc(12), 30, 10)
  t.equal(output.byteLength, 12)
  t.equal(output.payloadBytes, 10)
  output.append(Buffer.alloc(100), 90)
  put(output, Buffer.alloc(2), 0, 0)
  t.equal(output.byteLength, 114)
  t.equal(output.payloadBytes, 100)
  t.equal(output.totalBytes, 114)

  const batch = output.take()!
  t.equal(batch.byteLength, 114)
  t.equal(batch.payloadBytes, 100)
  t.equal(output.byteLength, 0)
  t.equal(output.payloadBytes, 0)
  put(output, Buffer.alloc(6), 0, 4)
  t.equal(output.byteLength, 6)
  t.equal(output.payloadBytes, 4)
  t.equal(output.totalBytes, 120, 'of all batches')
  t.equal(batch.byteLength, 114, 'the batch before it is as it was')
  t.equal(output.unsentBytes, 120, 'what was taken has not left')

  output.written(batch)
  t.equal(output.unsentBytes, 6)
  t.equal(output.writtenBytes, 114)
  output.lost(output.take()!)
  t.equal(output.unsentBytes, 0)
  t.equal(output.writtenBytes, 114, 'what was lost has not left either')
  t.equal(output.totalBytes, 114)
})

t.test('addCallback', async t => {
  t.test('the callbacks go with the batch, in order', async t => {
    const output = new OutputBuffer()
    const [one, two, three] = [() => {}, () => {}, () => {}]
    put(output, Buffer.from('a'))
    output.addCallback(one)
    output.addCallback(two)
    const batch = output.take()!
    t.equal(batch.callbacks?.length, 2)
    t.equal(batch.callbacks?.[0], one)
    t.equal(batch.callbacks?.[1], two)
    put(output, Buffer.from('b'))
    output.addCallback(three)
    const next = output.take()!
    t.equal(next.callbacks?.length, 1)
    t.equal(next.callbacks?.[0], three)
    batch.release()
    next.release()
  })

  t.test('a batch without any has no array', async t => {
    const output = new OutputBuffer()
    put(output, Buffer.from('a'))
    const batch = output.take()!
    t.equal(batch.callbacks, undefined)
    batch.release()
  })

  t.test('may come before anything else', async t => {
    const output = new OutputBuffer()
    output.addCallback(() => {})
    t.equal(output.byteLength, 0)
    put(output, Buffer.from('a'))
    const batch = output.take()!
    t.equal(batch.callbacks?.length, 1)
    t.equal(batch.byteLength, 1)
    batch.release()
  })
})

t.test('the shared region', async t => {
  t.test('is used from its start again when nothing of it waits', async t => {
    const places = new Set<ArrayBufferLike | number>()
    const output = new OutputBuffer()
    for (let i = 0; i < 1000; i++) {
      places.add(put(output, Buffer.alloc(1000)))
      places.add(output.buffer.buffer)
      output.take()!.release()
    }
    t.equal(places.size, 2, 'one region, one offset')
    t.ok(places.has(0))
  })

  t.test('is not used again while any range of it waits or is being written', async t => {
    const [one, two, three] = [new OutputBuffer(), new OutputBuffer(), new OutputBuffer()]
    put(one, Buffer.from('one'))
    put(two, Buffer.from('two'))
    const first = one.take()!
    first.release()
    t.equal(put(three, Buffer.from('three')), 6, 'behind a range that waits')
    const second = two.take()!
    const third = three.take()!
    third.release()
    t.equal(put(one, Buffer.from('four')), 11, 'behind a range that is being written')
    t.equal(bytesOf(second).toString(), 'two')
    second.release()
    one.take()!.release()
    t.equal(put(one, Buffer.from('five')), 0)
    one.take()!.release()
  })

  t.test('is used to its last octet, then another takes its place', async t => {
    const output = new OutputBuffer()
    const bytes = Buffer.alloc(MAX_RANGE_BYTES, 1)
    for (let i = 0; i < 4; i++) t.equal(put(output, bytes), i * MAX_RANGE_BYTES)
    const full = output.buffer
    t.equal(full.length, SHARED_BYTES)
    t.equal(put(output, Buffer.from([2])), 0)
    t.not(output.buffer, full)
    t.equal(output.buffer.length, SHARED_BYTES)
    const batch = output.take()!
    t.equal(batch.chunks.length, 2)
    t.ok(bytesOf(batch).equals(Buffer.concat([bytes, bytes, bytes, bytes, Buffer.from([2])])))
    batch.release()
  })

  t.test('an idle connection holds nothing of it', async t => {
    const [idle, busy] = [new OutputBuffer(), new OutputBuffer()]
    put(idle, Buffer.from('once'))
    idle.take()!.release()
    t.equal(idle.take(), undefined)
    t.equal(put(busy, Buffer.from('x')), 0)
    busy.take()!.release()
  })

  t.test('a range takes a quarter of it at most', async t => {
    t.equal(MAX_RANGE_BYTES, SHARED_BYTES / 4)
  })
})

t.test('a connection that is blocked', async t => {
  t.test('writes to a region of its own, which grows with what waits, up to 64 KiB', async t => {
    const [slow, fast] = [new OutputBuffer(), new OutputBuffer()]
    put(fast, Buffer.from('fast'))
    const shared = fast.buffer
    slow.blocked = true
    const sizes: number[] = []
    let last: Buffer | undefined
    for (let i = 0; i < 2000; i++) {
      put(slow, Buffer.alloc(100, i))
      if (slow.buffer !== last) sizes.push(slow.buffer.length)
      last = slow.buffer
      if (slow.buffer === shared) t.fail('the shared region')
    }
    t.strictSame(sizes, [1024, 2048, 4096, 8192, 16384, 32768, 65536, 65536, 65536])
    const batch = slow.take()!
    t.ok(bytesOf(batch).equals(Buffer.concat(Array.from({ length: 2000 }, (_, i) => Buffer.alloc(100, i)))))
    t.equal(batch.chunks.length, sizes.length)
    t.equal(put(fast, Buffer.from('fast')), 4, 'nobody else has moved on')
    batch.release()
    fast.take()!.release()
  })

  t.test('uses its region to its last octet', async t => {
    const slow = new OutputBuffer()
    slow.blocked = true
    put(slow, Buffer.alloc(1000))
    const own = slow.buffer
    put(slow, Buffer.alloc(24))
    t.equal(slow.buffer, own)
    put(slow, Buffer.alloc(1))
    t.not(slow.buffer, own)
    slow.take()!.release()
  })

  t.test('gets a range of any size', async t => {
    const slow = new OutputBuffer()
    slow.blocked = true
    put(slow, Buffer.alloc(MAX_RANGE_BYTES, 1))
    t.equal(slow.buffer.length, MAX_RANGE_BYTES)
    put(slow, Buffer.alloc(10, 2))
    t.equal(slow.buffer.length, 2 * MAX_RANGE_BYTES)
    const batch = slow.take()!
    t.ok(bytesOf(batch).equals(Buffer.concat([Buffer.alloc(MAX_RANGE_BYTES, 1), Buffer.alloc(10, 2)])))
    batch.release()
  })

  t.test('begins small again after what waited was taken', async t => {
    const slow = new OutputBuffer()
    slow.blocked = true
    put(slow, Buffer.alloc(5000))
    const batch = slow.take()!
    put(slow, Buffer.from('x'))
    t.equal(slow.buffer.length, 1024)
    t.equal(batch.chunks[0]!.length, 5000)
    batch.release()
    slow.take()!.release()
  })

  t.test('shares again when it is no longer blocked', async t => {
    const [slow, fast] = [new OutputBuffer(), new OutputBuffer()]
    put(fast, Buffer.from('fast'))
    slow.blocked = true
    put(slow, Buffer.from('waits '))
    slow.blocked = false
    put(slow, Buffer.from('goes '))
    t.equal(slow.buffer, fast.buffer)
    slow.blocked = true
    put(slow, Buffer.from('waits again'))
    t.not(slow.buffer, fast.buffer)
    const batch = slow.take()!
    t.equal(bytesOf(batch).toString(), 'waits goes waits again')
    batch.release()
    fast.take()!.release()
  })
})

t.test('no octet changes before its batch is released, whatever several connections do', async t => {
  interface Model { output: OutputBuffer, waiting: Buffer[], payload: number, total: number }
  const CONNECTIONS = 4
  let fill = 0
  let taken = 0

  const size = fc.oneof(fc.nat(40), fc.nat(2000), fc.nat(MAX_RANGE_BYTES))
  const command = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), who: fc.nat(CONNECTIONS - 1), size, spare: fc.nat(300) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('append' as const), who: fc.nat(CONNECTIONS - 1), size, spare: fc.constant(0) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('share' as const), who: fc.nat(2 ** CONNECTIONS - 1), size, spare: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), who: fc.nat(CONNECTIONS - 1), size: fc.constant(0), spare: fc.constant(0) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), who: fc.nat(20), size: fc.constant(0), spare: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('block' as const), who: fc.nat(CONNECTIONS - 1), size: fc.constant(0), spare: fc.constant(0) }) }
  )

  fc.assert(fc.property(fc.array(command, { maxLength: 80, size: 'max' }), (commands) => {
    const models: Model[] = Array.from({ length: CONNECTIONS }, () => ({ output: new OutputBuffer(), waiting: [], payload: 0, total: 0 }))
    const inFlight: Array<{ batch: OutputBatch, expected: Buffer }> = []
    const take = (model: Model): boolean => {
      const batch = model.output.take()
      const expected = Buffer.concat(model.waiting)
      if (batch === undefined) return model.waiting.length === 0
      if (batch.byteLength !== expected.length || batch.payloadBytes !== model.payload) return false
      taken++
      inFlight.push({ batch, expected })
      model.waiting = []
      model.payload = 0
      return true
    }
    const intact = (): boolean => inFlight.every(({ batch, expected }) => bytesOf(batch).equals(expected))

    for (const { kind, who, size, spare } of commands) {
      if (kind === 'release') {
        if (inFlight.length === 0) continue
        const [{ batch, expected }] = inFlight.splice(who % inFlight.length, 1) as [typeof inFlight[number]]
        if (!bytesOf(batch).equals(expected)) return false
        batch.release()
        continue
      }
      const bytes = Buffer.alloc(size, ++fill)
      // Shared by those whose bit is set.
      for (const model of kind === 'share' ? models.filter((_, i) => (who & (1 << i)) !== 0) : [models[who]!]) {
        const { output } = model
        if (kind === 'block') {
          output.blocked = !output.blocked
        } else if (kind === 'take') {
          if (!take(model)) return false
        } else {
          if (kind === 'put') put(output, bytes, Math.min(spare, MAX_RANGE_BYTES - size), size >> 1)
          else if (kind === 'share') output.appendShared(bytes, size >> 1)
          else output.append(bytes, size >> 1)
          model.waiting.push(bytes)
          model.payload += size >> 1
          model.total += size
        }
        const waiting = model.waiting.reduce((sum, { length }) => sum + length, 0)
        if (output.byteLength !== waiting || output.payloadBytes !== model.payload || output.totalBytes !== model.total) return false
      }
    }
    if (!models.every(take) || !intact()) return false
    for (const { batch } of inFlight) batch.release()
    return true
  }), { numRuns: 400 })
  t.ok(taken > 1000, `${taken} batches`)

  // Everything was given back.
  const output = new OutputBuffer()
  t.equal(put(output, Buffer.from('x')), 0)
  output.take()!.release()
})
