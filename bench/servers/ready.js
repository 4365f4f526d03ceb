import { writeHeapSnapshot } from 'node:v8'

/**
 * How a server and the harness talk: a line of JSON on stdout when it listens, with the time since its process began,
 * and one for each line that it reads from stdin. `memory` asks for its memory after the garbage is collected, and may
 * name a file for a snapshot of the heap; `profile` for where its time goes in so many milliseconds. It ends when stdin
 * does, so that no server is left behind.
 */
export function ready (port) {
  say({ port, pid: process.pid, startMs: performance.now() })
  process.stdin.on('data', async (line) => {
    const [what, argument] = String(line).trim().split(' ')
    if (what === 'memory') return say(await memory(argument))
    const { profile } = await import('./profile.js')
    say(await profile(Number(argument), task.dist))
  })
  process.stdin.on('end', () => { process.exit() })
}

async function memory (snapshotFile) {
  // More than once: what a finalizer lets go is garbage of the next time.
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
  const { rss, heapUsed } = process.memoryUsage()
  if (snapshotFile !== undefined) writeHeapSnapshot(snapshotFile)
  return { rss, heap: heapUsed }
}

/** What the harness wants of this server. */
export const task = JSON.parse(process.argv[2])

function say (value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}
