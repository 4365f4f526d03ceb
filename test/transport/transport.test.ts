/**
 * What a transport does for many at once; what it does for one is in test/contract/transport.test.ts, on every kind of stream.
 */
import t, { type Test } from 'tap'
import { Transport } from '../../lib/transport/transport.ts'
import { thrown } from '../helpers/app.ts'
import { openSocket, settle } from '../helpers/open-socket.ts'

/** What is scheduled for the next tick while `run` runs, instead of being done. */
function scheduledBy (t: Test, run: () => void): Array<() => void> {
  const scheduled: Array<() => void> = []
  const { nextTick } = process
  process.nextTick = (call: (...args: any[]) => void, ...args: unknown[]) => { scheduled.push(() => call(...args)) }
  t.teardown(() => { process.nextTick = nextTick })
  try {
    run()
  } finally {
    process.nextTick = nextTick
  }
  return scheduled
}

t.test('writeTogether', async (t) => {
  t.test('one callback of the next tick writes what was sent on many connections', async (t) => {
    const opened = Array.from({ length: 5 }, () => openSocket())
    await settle()
    const sendAll = (text: string): void => { for (const { socket } of opened) socket.send(text) }
    t.equal(scheduledBy(t, () => sendAll('each for itself')).length, 5)

    const others = Array.from({ length: 5 }, () => openSocket())
    await settle()
    const scheduled = scheduledBy(t, () => {
      others[0]!.socket.send('before')
      const result = Transport.writeTogether(() => {
        for (const { socket } of others) socket.send('a')
        Transport.writeTogether(() => { for (const { socket } of others) socket.send('b') })
        return 'what it returns'
      })
      t.equal(result, 'what it returns')
      others[1]!.socket.send('after')
    })
    t.equal(scheduled.length, 2, 'that of the first was there before')
    t.strictSame(others.map(({ connection }) => connection.output.payloadBytes), [8, 7, 2, 2, 2])
    for (const run of scheduled) run()
    t.strictSame(others.map(({ connection }) => connection.output.payloadBytes), [0, 0, 0, 0, 0])
    for (const [i, { wire }] of others.entries()) {
      const [first, second] = [i === 0 ? ['text "before"'] : [], i === 1 ? ['text "after"'] : []]
      const expected = [...first, 'text "a"', 'text "b"', ...second]
      t.strictSame(await wire.lines(expected.length), expected)
    }
  })

  t.test('nothing is scheduled where nothing was sent', async (t) => {
    t.strictSame(scheduledBy(t, () => Transport.writeTogether(() => {})), [])
  })

  t.test('what was sent before it throws is written all the same, and later sends are as ever', async (t) => {
    const [one, two] = [openSocket(), openSocket()]
    const failure = new Error('the sender fails')
    t.equal(thrown(() => Transport.writeTogether(() => {
      one.socket.send('x')
      throw failure
    })), failure)
    two.socket.send('y')
    t.strictSame(await one.wire.lines(1), ['text "x"'])
    t.strictSame(await two.wire.lines(1), ['text "y"'])
  })

  t.test('a stream that throws stops none of the others', async (t) => {
    const opened = Array.from({ length: 5 }, () => openSocket())
    await settle()
    const failure = new Error('the stream fails')
    for (const { near } of [opened[1]!, opened[3]!]) near.write = () => { throw failure }
    let pending = scheduledBy(t, () => Transport.writeTogether(() => { for (const { socket } of opened) socket.send('x') }))
    let failures = 0
    while (pending.length > 0) {
      const [run] = pending
      pending = scheduledBy(t, () => { if (thrown(run!) === failure) failures++ })
    }
    t.equal(failures, 2)
    for (const { wire } of [opened[0]!, opened[2]!, opened[4]!]) t.strictSame(await wire.lines(1), ['text "x"'])
  })
})
