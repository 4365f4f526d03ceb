/** From the rounds of a scenario to the figures that are shown. */

/** The median, which one disturbed round does not move. */
export function median (values) {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * For each peer the median of each figure, and how its CPU time compares with that of every other (`against`): the
 * median of the ratios of each round, in which both met the same machine.
 */
export function comparisonsOf (rounds) {
  const names = Object.keys(rounds[0])
  return names.map((name) => {
    const figures = Object.fromEntries(Object.keys(rounds[0][name]).map((key) => [key, median(rounds.map((round) => round[name][key]))]))
    const against = Object.fromEntries(names.map((other) => [other, median(rounds.map((round) => round[name].cpu / round[other].cpu))]))
    return { name, ...figures, against }
  })
}

export function consoleTable (comparisons) {
  const names = comparisons.map(({ name }) => name)
  const head = ['', 'msg/s', 'CPU µs', ...names.map((name) => `/ ${name}`), 'p50 µs', 'p99 µs', 'RSS MB', 'server', 'generator']
  const rows = comparisons.map(({ name, perSecond, cpu, against, p50, p99, rss, serverBusy, generatorBusy }) => [
    name, Math.round(perSecond), digits(cpu), ...names.map((other) => other === name ? '' : digits(against[other])), p50, p99, Math.round(rss / 1e6), percent(serverBusy), percent(generatorBusy)
  ])
  const table = [head, ...rows].map((row) => row.map(String))
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column].length)))
  return table.map((row) => row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])).join('  ')).join('\n')
}

/** Three digits that count. */
export function digits (value) {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}

function percent (part) {
  return `${Math.round(100 * part)} %`
}
