/**
 * What the garbage collector has taken: objects are watched under a label, and counted until they are gone.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
export const collectGarbage = runInNewContext('gc') as () => void

/** What was asked to be collected may wait for callbacks, of finalizers too: so it is asked again, as often as something comes of it. */
const ROUNDS_WITHOUT_CHANGE = 30

export class Collected {
  /** By label, how many were watched, and how many of them there are still. */
  readonly watched = new Map<string, number>()
  readonly left = new Map<string, number>()
  readonly #seen = new WeakSet<object>()
  readonly #registry = new FinalizationRegistry<string>((label) => {
    const left = this.left.get(label)! - 1
    if (left === 0) this.left.delete(label)
    else this.left.set(label, left)
  })

  /** An object counts once, under its first label. */
  watch (label: string, object: object): void {
    if (this.#seen.has(object)) return
    this.#seen.add(object)
    this.#registry.register(object, label)
    this.watched.set(label, (this.watched.get(label) ?? 0) + 1)
    this.left.set(label, (this.left.get(label) ?? 0) + 1)
  }

  /** Collects until nothing is left, or nothing more goes. */
  async settle (): Promise<void> {
    let before = -1
    for (let same = 0; same < ROUNDS_WITHOUT_CHANGE && this.left.size > 0; same++) {
      collectGarbage()
      await new Promise((resolve) => { setTimeout(resolve, 1) })
      const now = [...this.left.values()].reduce((sum, count) => sum + count, 0)
      if (now !== before) same = 0
      before = now
    }
  }
}
