import type { OpenLimits } from '../../lib/socket/open.ts'

/** Of the connections of tests: as by default, but without heartbeat and timers. */
export const LIMITS: OpenLimits = {
  maxMessageBytes: 1024 * 1024,
  closeTimeoutMs: 5_000,
  highWaterMarkBytes: 65_536,
  maxUnsentBytes: 16 * 1024 * 1024,
  queueBytes: 65_536,
  whenFull: 'pause',
  heartbeat: false,
  messageTimeoutMs: 0
}
