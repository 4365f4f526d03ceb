/**
 * Mutated frames to this package and to ws: `npm run test:fuzz`. First without extensions, then with permessage-deflate,
 * which is slower by far.
 *
 * | variable     | what                                                                             |
 * |--------------|----------------------------------------------------------------------------------|
 * | FUZZ_SEED    | the seed; another one each time if it is not given                               |
 * | FUZZ_SECONDS | how long; 30 if there is no other limit. A third of it for permessage-deflate    |
 * | FUZZ_FRAMES  | how many frames; those behind a failure do not count. A twentieth for the same   |
 * | FUZZ_MODE    | `frames` or `deflate` alone, with all of the seconds or frames                   |
 * | FUZZ_FIRST   | the number of the first stream                                                   |
 * | FUZZ_STREAMS | how many streams                                                                 |
 */
import t, { type Test } from 'tap'
import { describeFault, startCampaign, type Mode, type Report } from './campaign.ts'
import { ACCEPTED } from './differences.ts'
import { ACCEPTED_INFLATED } from './inflated-differences.ts'

const PROGRESS_MS = 10_000
const USUAL_SECONDS = 30

function option (name: string): number | undefined {
  const value = process.env[name]
  if (value === undefined || value === '') return undefined
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${name} is no whole number`)
  return number
}

function limits (share: { readonly ofSeconds: number, readonly ofFrames: number }) {
  const [frames, streams] = [option('FUZZ_FRAMES'), option('FUZZ_STREAMS')]
  const seconds = option('FUZZ_SECONDS') ?? (frames === undefined && streams === undefined ? USUAL_SECONDS : undefined)
  return {
    seed,
    first: option('FUZZ_FIRST') ?? 0,
    ...streams === undefined ? {} : { streams },
    ...frames === undefined ? {} : { frames: Math.ceil(frames * share.ofFrames) },
    ...seconds === undefined ? {} : { milliseconds: 1000 * seconds * share.ofSeconds }
  }
}

function figures ({ streams, frames, framesMade, bytes, failed, closed, milliseconds }: Report): string {
  const perSecond = Math.round(frames / Math.max(1, milliseconds) * 1000)
  return `${frames} mutated frames in ${(milliseconds / 1000).toFixed(1)} s, ${perSecond} a second: of ${framesMade} in ${streams} streams (${(bytes / 1e6).toFixed(1)} MB), ` +
    `of which ${failed} failed and ${closed} were closed`
}

async function fuzz (t: Test, mode: Mode, share: { readonly ofSeconds: number, readonly ofFrames: number }): Promise<void> {
  t.comment(`FUZZ_SEED=${seed}`)
  const campaign = startCampaign(mode, limits(share))
  const { report } = campaign
  while (!campaign.done) {
    await campaign.run(PROGRESS_MS)
    t.comment(figures(report))
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  for (const { name, reason } of mode === 'frames' ? ACCEPTED : [...ACCEPTED, ...ACCEPTED_INFLATED]) {
    t.comment(`${report.differences.get(name) ?? 0} times: ${name}. ${reason}`)
  }
  for (const fault of report.faults) {
    for (const line of describeFault(fault)) t.comment(line)
    t.fail(`${fault.problem}: seed ${fault.seed}, stream ${fault.stream}`)
  }
  if (report.faults.length === 0) t.pass(`${report.frames} frames`)
}

const seed = option('FUZZ_SEED') ?? Date.now() % 2 ** 32
const only = process.env.FUZZ_MODE
if (only !== undefined && only !== 'frames' && only !== 'deflate') throw new Error('FUZZ_MODE is frames or deflate')

t.test('this package and ws say the same of any octets', async (t) => {
  if (only !== 'deflate') await t.test('frames', async (t) => await fuzz(t, 'frames', { ofSeconds: 1, ofFrames: 1 }))
  const share = only === 'deflate' ? { ofSeconds: 1, ofFrames: 1 } : { ofSeconds: 1 / 3, ofFrames: 1 / 20 }
  if (only !== 'frames') await t.test('permessage-deflate', async (t) => await fuzz(t, 'deflate', share))
})
