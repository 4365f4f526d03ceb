/**
 * Curves over time as a small SVG: one panel for each, from zero to its largest value.
 */
const WIDTH = 720
const PANEL = 120
const LEFT = 90
const GAP = 34

/** `panels`: `{ title, points: [[seconds, value]], unit (value) }`; `from` marks where the judged part begins. */
export function chart (panels, from) {
  const last = Math.max(...panels.flatMap(({ points }) => points.map(([x]) => x)))
  const x = (seconds) => LEFT + (WIDTH - LEFT - 10) * seconds / last
  const body = panels.flatMap((panel, i) => drawPanel(panel, GAP + i * (PANEL + GAP), x, from, last))
  const height = GAP + panels.length * (PANEL + GAP)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...body,
    '</svg>',
    ''
  ].join('\n')
}

function drawPanel ({ title, points, unit }, top, x, from, last) {
  const most = Math.max(...points.map(([, value]) => value)) * 1.1
  const y = (value) => top + PANEL - PANEL * value / most
  const path = points.map(([seconds, value]) => `${x(seconds).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  return [
    `<text x="${LEFT}" y="${top - 6}">${title}</text>`,
    `<rect x="${LEFT}" y="${top}" width="${(x(from) - LEFT).toFixed(1)}" height="${PANEL}" fill="#eee"/>`,
    `<path d="M${LEFT} ${top}V${top + PANEL}H${x(last).toFixed(1)}" fill="none" stroke="#888"/>`,
    `<text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">${unit(most)}</text>`,
    `<text x="${LEFT - 6}" y="${top + PANEL}" text-anchor="end">0</text>`,
    `<text x="${x(last).toFixed(1)}" y="${top + PANEL + 14}" text-anchor="end">${Math.round(last)} s</text>`,
    `<polyline points="${path}" fill="none" stroke="#1565c0" stroke-width="1.5"/>`
  ]
}
