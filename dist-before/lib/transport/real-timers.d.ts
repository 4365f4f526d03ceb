/**
 * The timers of the real clock, taken when this module is imported. What must go on under fake timers (an
 * in-memory connection, the patience of a test) imports them; limits and heartbeats use the global ones.
 *
 * Whoever wants the real ones imports this before a test replaces the globals: with the plugin, not later.
 */
export declare const clearTimeout: typeof globalThis.clearTimeout, setImmediate: typeof globalThis.setImmediate, setTimeout: typeof globalThis.setTimeout;
