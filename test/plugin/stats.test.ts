import t from 'tap'
import { Counters } from '../../lib/plugin/stats.ts'

const connection = (closeCode: number, by = 1): any => ({ closeCode, messagesReceived: 1 * by, messagesSent: 2 * by, bytesReceived: 3 * by, output: { writtenBytes: 4 * by } })

t.test('adds up what is over and what is open', async (t) => {
  const counters = new Counters()
  t.strictSame({ ...counters.with([]) }, {
    opened: 0, refused: {}, closed: {}, invalidMessages: 0, messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0, open: 0, bufferedBytes: 0
  })
  counters.opened = 4
  for (const status of [403, 503, 403, undefined]) counters.onRefused(status)
  for (const code of [1000, 1006, 1000]) counters.onClosed(connection(code))
  const stats = counters.with([[{ bufferedAmount: 7 } as never, connection(1006, 10)], [{ bufferedAmount: 1 } as never, connection(1006, 10)]])
  t.strictSame({ ...stats }, {
    opened: 4, refused: { 403: 2, 503: 1 }, closed: { 1000: 2, 1006: 1 }, invalidMessages: 0, messagesReceived: 23, messagesSent: 46, bytesReceived: 69, bytesSent: 92, open: 2, bufferedBytes: 8
  })
  t.equal(counters.with([]).messagesReceived, 3, 'what is open is not kept')
})

t.test('is a picture of its time', async (t) => {
  const counters = new Counters()
  counters.onRefused(400)
  const before = counters.with([])
  counters.onRefused(400)
  counters.onClosed(connection(1000))
  counters.opened++
  t.strictSame([before.refused, before.closed, before.opened], [{ 400: 1 }, {}, 0])
})
