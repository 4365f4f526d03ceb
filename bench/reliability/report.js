/**
 * docs/reliability.md: each measurement writes its own section, and leaves what is written by hand around it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

const PAGE = new URL('../../docs/reliability.md', import.meta.url)

/** Where it was measured, and when. */
export function circumstances () {
  const processors = cpus()
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${process.platform} ${process.arch}, ${processors.length} × ${processors[0].model}`
}

/** Puts these lines in the place of those between the markers of the section. */
export function writeSection (name, lines) {
  const page = readFileSync(PAGE, 'utf8')
  const begin = `<!-- ${name}: written by the run -->`
  const end = `<!-- end of ${name} -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from === -1 || to < from) throw new Error(`docs/reliability.md has lost the markers '${begin}' and '${end}'`)
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n\n${lines.join('\n')}\n\n${page.slice(to)}`)
}

export function table (head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, i) => i === 0 ? '---|' : '---:|').join('')}`, ...rows.map(line)]
}

export const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

export function median (numbers) {
  const sorted = [...numbers].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function percentile (numbers, share) {
  const sorted = [...numbers].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** The slope of points (x, y) after Theil and Sen, which a few outliers do not move. */
export function slope (points) {
  const slopes = []
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) slopes.push((points[j][1] - points[i][1]) / (points[j][0] - points[i][0]))
  }
  return median(slopes)
}
