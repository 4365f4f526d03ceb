/** Charts as SVG: bars that compare, and lines that grow. */

const COLORS = { ours: '#0b6e4f', 'ours+old': '#5fb89a', floor: '#d9c44a', ws: '#9aa0a6', 'ws+bufferutil': '#5f6368', 'fastify-websocket': '#c58b4b', net: '#3b6ea8', bun: '#b3588a', deno: '#7a5fb0', fastify: '#9aa0a6' }
const LEGEND_COLUMNS = 6
const FONT = 'font-family="sans-serif" font-size="12"'

/**
 * Groups of bars, `{ label, values: { [peer]: number } }`, from 0 to `most`, with a line at 1; a bar that would be longer
 * is cut, and says how long it is.
 */
export function bars (title, groups, peers, most) {
  const [left, width, bar, gap] = [330, 520, 10, 12]
  const parts = [legend(peers)]
  let y = 76
  const top = y
  for (const { label, values } of groups) {
    const shown = peers.filter((peer) => values[peer] !== undefined)
    parts.push(text(left - 8, y + shown.length * bar / 2 + 4, label, 'end'))
    for (const peer of shown) {
      const length = Math.min(values[peer], most) / most * width
      parts.push(`<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${bar - 2}" fill="${COLORS[peer]}"/>`)
      parts.push(`<text x="${(left + length + 4).toFixed(1)}" y="${y + bar - 2}" font-family="sans-serif" font-size="9">${values[peer].toFixed(2)}</text>`)
      y += bar
    }
    y += gap
  }
  const one = left + width / most
  parts.push(`<line x1="${one}" y1="${top - 6}" x2="${one}" y2="${y - gap + 6}" stroke="#444" stroke-dasharray="3 3"/>`)
  return svg(left + width + 50, y, title, parts)
}

/** Lines on logarithmic axes: rows `{ at, [peer]: number }`. */
export function lines (title, { xTitle, yTitle, xLabel }, rows, peers) {
  const [left, right, top, width, height] = [70, 30, 70, 560, 320]
  const values = rows.flatMap((row) => peers.map((peer) => row[peer]))
  const scale = (least, most, from, to) => (value) => from + (Math.log(value / least) / Math.log(most / least)) * (to - from)
  const [bottomDecade, topDecade] = [10 ** Math.floor(Math.log10(Math.min(...values))), 10 ** Math.ceil(Math.log10(Math.max(...values)))]
  const x = scale(rows[0].at, rows.at(-1).at, left, left + width)
  const y = scale(bottomDecade, topDecade, top + height, top)
  const parts = [legend(peers)]
  for (let decade = bottomDecade; decade <= topDecade * 1.01; decade *= 10) {
    parts.push(`<line x1="${left}" y1="${y(decade).toFixed(1)}" x2="${left + width}" y2="${y(decade).toFixed(1)}" stroke="#ddd"/>`, text(left - 6, y(decade) + 4, label(decade), 'end'))
  }
  for (const { at } of rows) parts.push(text(x(at), top + height + 18, xLabel(at), 'middle'))
  for (const peer of peers) {
    const points = rows.map((row) => `${x(row.at).toFixed(1)},${y(row[peer]).toFixed(1)}`)
    parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${COLORS[peer]}" stroke-width="2"/>`)
    for (const point of points) parts.push(`<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="${COLORS[peer]}"/>`)
  }
  parts.push(text(left + width / 2, top + height + 38, xTitle, 'middle'), text(left, top - 8, yTitle, 'start'))
  return svg(left + width + right, top + height + 50, title, parts)
}

function label (decade) {
  return decade >= 1 ? String(Math.round(decade)) : String(Number(decade.toPrecision(1)))
}

function legend (peers) {
  return peers.map((peer, i) => {
    const x = 10 + 130 * (i % LEGEND_COLUMNS)
    const y = 30 + 18 * Math.floor(i / LEGEND_COLUMNS)
    return `<rect x="${x}" y="${y}" width="10" height="10" fill="${COLORS[peer]}"/>${text(x + 14, y + 9, peer, 'start')}`
  }).join('')
}

function text (x, y, content, anchor) {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" ${FONT}>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`
}

function svg (width, height, title, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(10, 18, title, 'start'),
    ...parts,
    '</svg>',
    ''
  ].join('\n')
}
