/**
 * A measurement has its parts in processes of their own, so that none is charged for another: the parent asks by name,
 * the child answers.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Starts a script of this folder, which calls `answer`; `args` are strings. */
export async function startChild (script, ...args) {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, { execArgv: ['--expose-gc'] })
  const waiting = new Map()
  let asked = 0
  let fault
  child.on('message', ({ id, value, error }) => {
    const { resolve, reject } = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) resolve(value)
    else reject(new Error(`${script}: ${error}`))
  })
  child.on('exit', (code, signal) => {
    fault = new Error(`${script} has ended with ${code ?? signal}`)
    for (const { reject } of waiting.values()) reject(fault)
  })
  const ask = (what, argument) => new Promise((resolve, reject) => {
    if (fault !== undefined) return reject(fault)
    const id = ++asked
    waiting.set(id, { resolve, reject })
    child.send({ id, what, argument })
  })
  await ask('ready')
  return {
    ask,
    async end () {
      if (fault !== undefined) return
      child.disconnect()
      await once(child, 'exit')
    }
  }
}

/** In the child: answers what is asked by these functions, and exits with the parent. */
export function answer (functions) {
  const all = { ready: () => {}, ...functions }
  process.on('message', async ({ id, what, argument }) => {
    try {
      process.send({ id, value: await all[what](argument) })
    } catch (error) {
      process.send({ id, error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit())
}

/** Garbage is collected until finalizers have run too. */
export async function collectGarbage () {
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await setImmediate()
  }
}

/** What this process holds, in bytes and numbers. */
export function held () {
  const { heapUsed, external, rss } = process.memoryUsage()
  const resources = {}
  for (const type of process.getActiveResourcesInfo()) resources[type] = (resources[type] ?? 0) + 1
  return { heapUsed, external, rss, descriptors: descriptors(), resources }
}

function descriptors () {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return NaN
  }
}
