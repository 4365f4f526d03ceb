import { Buffer } from 'node:buffer'
import t from 'tap'
import { MessageSender } from '../../lib/protocol/message-sender.ts'
import { OutputBuffer } from '../../lib/protocol/output-buffer.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'
import { describe, noise, readFrames } from '../helpers/frames.ts'

const LARGE = noise(40_000)
const brief = (frame: Parameters<typeof describe>[0]): string => frame.payload.length > 100 ? `${frame.opcode} of ${frame.payload.length}` : describe(frame)

for (const role of ['server', 'client'] as const) {
  const subject = () => {
    const output = new OutputBuffer()
    const frames = () => {
      const batch = output.take()!
      const frames = readFrames(Buffer.concat(batch.chunks))
      const shared = batch.chunks.length
      batch.release()
      return { frames, shared }
    }
    return { output, sender: new MessageSender(role, output), frames }
  }

  t.test(`${role}: all is in the output at once, and nothing is compressed`, async (t) => {
    const { sender, frames } = subject()
    sender.sendText('a'.repeat(50_000), true, true)
    sender.sendBytes(LARGE, 2, true, true)
    sender.sendShared(new SharedMessage(1, LARGE), true)
    let written = 0
    sender.sendControl(9, Buffer.alloc(0), () => written++)
    sender.afterAll(() => written++)
    sender.pong(Buffer.from('a'))
    t.equal(written, 2)
    t.equal(sender.pendingBytes, 0)
    const found = frames().frames
    t.strictSame(found.map(brief), ['1 of 50000', '2 of 40000', '1 of 40000', 'ping ""', 'pong "a"'])
    t.ok(found.every(({ rsv, masked, fin }) => rsv === 0 && masked === (role === 'client') && fin))
  })

  t.test(`${role}: fragments after the first are continuations, whatever is sent as the last`, async (t) => {
    const last: Array<(sender: MessageSender) => void> = [
      (sender) => sender.sendText('c', true, true),
      (sender) => sender.sendBytes(Buffer.from('c'), 2, true, true),
      (sender) => sender.sendShared(new SharedMessage(1, Buffer.from('c')), true)
    ]
    for (const send of last) {
      const { sender, frames } = subject()
      sender.sendText('a', false, true)
      t.equal(sender.sendingFragments, true)
      sender.sendBytes(Buffer.from('b'), 2, false, true)
      sender.sendControl(9, Buffer.from('between'))
      t.equal(sender.sendingFragments, true)
      send(sender)
      t.equal(sender.sendingFragments, false)
      sender.sendBytes(Buffer.from('d'), 2, true, true)
      t.strictSame(frames().frames.map(({ opcode, fin, payload }) => `${opcode} ${fin} ${payload.toString()}`), [
        '1 false a', '0 false b', '9 true between', '0 true c', '2 true d'
      ])
    }
  })

  t.test(`${role}: a shared message goes by reference, unless its frame must be masked`, async (t) => {
    const { output, sender } = subject()
    const message = new SharedMessage(2, LARGE)
    sender.sendShared(message, true)
    const batch = output.take()!
    t.equal(batch.chunks.includes(message.frame), role === 'server')
    t.equal(batch.payloadBytes, LARGE.length)
    batch.release()
  })

  t.test(`${role}: callbacks are called when the batch has left; nothing waits that could be stopped or dropped`, async (t) => {
    const { output, sender } = subject()
    let called = 0
    sender.sendText('a', true, true)
    sender.addCallback(() => called++)
    sender.stop()
    t.equal(sender.drop(), 0)
    sender.sendText('b', true, true)
    const batch = output.take()!
    t.equal(readFrames(Buffer.concat(batch.chunks)).length, 2)
    for (const callback of batch.callbacks!) callback()
    t.equal(called, 1)
    batch.release()
  })
}
