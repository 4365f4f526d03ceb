/**
 * Numbers that one seed determines: sfc32, which is small and fast. Each stream begins anew from the seed and its own
 * number, so that it can be made again without those before it.
 */
export class Random {
  #a = 0
  #b = 0
  #c = 0
  #counter = 1

  constructor (seed: number, stream = 0) {
    this.restart(seed, stream)
  }

  restart (seed: number, stream: number): void {
    this.#a = seed | 0
    this.#b = stream | 0
    this.#c = (stream / 2 ** 32) | 0
    this.#counter = 1
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 32 bits. */
  next (): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return sum >>> 0
  }

  /** 0 to n - 1. */
  below (n: number): number {
    return Math.floor(this.next() / 2 ** 32 * n)
  }

  between (least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True once in n times. */
  once (n: number): boolean {
    return this.below(n) === 0
  }

  of<T> (values: readonly T[]): T {
    return values[this.below(values.length)]!
  }
}
