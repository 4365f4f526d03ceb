import { writeHeapSnapshot } from 'node:v8'

/**
 * How a server and the harness talk: a line of JSON on stdout when it listens, with the time since its process began,
 * and one for each line that it reads from stdin, with its memory after the garbage is collected. Such a line may name
 * a file, for a snapshot of the heap. It ends when stdin does, so that no server is left behind.
 */
export function ready (port) {
  say({ port, pid: process.pid, startMs: performance.now() })
  process.stdin.on('data', async (line) => {
    // More than once: what a finalizer lets go is garbage of the next time.
    for (let i = 0; i < 5; i++) {
      globalThis.gc?.()
      await new Promise((resolve) => { setTimeout(resolve, 20) })
    }
    const { rss, heapUsed } = process.memoryUsage()
    const file = String(line).trim()
    if (file !== '') writeHeapSnapshot(file)
    say({ rss, heap: heapUsed })
  })
  process.stdin.on('end', () => { process.exit() })
}

/** What the harness wants of this server. */
export const task = JSON.parse(process.argv[2])

function say (value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}
