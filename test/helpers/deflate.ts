import type { DeflateSettings } from '../../lib/protocol/deflate.ts'

/** Both sides take their windows over; all jobs one after the other. */
export const DEFLATE: DeflateSettings = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
  thresholdBytes: 100,
  level: 1,
  memLevel: 5,
  maxConcurrentJobs: 1
}
