/**
 * The root of the project, where every script of it runs. Tests find their data from here and not from their own place,
 * which is another when they run compiled.
 */
export const ROOT = process.cwd()
