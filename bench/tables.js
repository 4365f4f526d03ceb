/** From the rounds of a scenario to the figures that are shown. */

/** The median, which one disturbed round does not move. */
export function median (values) {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** For each peer the median of each figure. */
export function mediansOf (rounds) {
  return Object.entries(rounds[0]).map(([name, figures]) => {
    const medians = Object.keys(figures).map((key) => [key, median(rounds.map((round) => round[name][key]))])
    return { name, ...Object.fromEntries(medians) }
  })
}

/** How the CPU time of two peers compares: the median of the ratios of all rounds, in which both met the same machine. */
export function ratioOf (rounds, name, other) {
  return median(rounds.map((round) => round[name].cpu / round[other].cpu))
}

export function timeTable (rounds) {
  const names = Object.keys(rounds[0])
  return align([
    ['', 'msg/s', 'CPU µs', ...names.map((name) => `/ ${name}`), 'p50 µs', 'p99 µs', 'RSS MB', 'server', 'generator'],
    ...mediansOf(rounds).map(({ name, perSecond, cpu, p50, p99, rss, serverBusy, generatorBusy }) => [
      name, Math.round(perSecond), digits(cpu), ...names.map((other) => other === name ? '' : digits(ratioOf(rounds, name, other))),
      Math.round(p50), Math.round(p99), Math.round(rss / 1e6), percent(serverBusy), percent(generatorBusy)
    ])
  ])
}

export function memoryTable (rounds) {
  return align([
    ['', 'RSS KiB', 'heap KiB'],
    ...mediansOf(rounds).map(({ name, rss, heap }) => [name, digits(rss / 1024), digits(heap / 1024)])
  ])
}

/** Columns for a terminal. */
export function align (rows) {
  const table = rows.map((row) => row.map(String))
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  return table.map((row) => row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join('  ')).join('\n')
}

/** Three digits that count. */
export function digits (value) {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}

function percent (part) {
  return `${Math.round(100 * part)} %`
}
