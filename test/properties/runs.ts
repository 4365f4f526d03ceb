/**
 * How often properties are tried. FUZZ_RUNS tries each of them so often; FUZZ_SEED and FUZZ_PATH, which fast-check prints
 * when it has found something, bring that back.
 */
export function runs (usual: number): { numRuns: number, seed?: number, path?: string } {
  const { FUZZ_RUNS, FUZZ_SEED, FUZZ_PATH } = process.env
  return {
    numRuns: FUZZ_RUNS === undefined ? usual : Number(FUZZ_RUNS),
    ...FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) },
    ...FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }
  }
}
