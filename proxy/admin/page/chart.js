// Charts of the last hour, minute by minute.

import { $, attr, count, milliseconds, minute, now, plural, put } from './text.js'

const minutes = 60
const height = 100

// place returns the number of a minute's column, from the left; the running minute is the last one.
const place = (m) => minutes - 1 - Math.round((Math.floor(now() / 60e3) * 60e3 - Date.parse(m.time)) / 60e3)

export function showCharts(history) {
  const shown = history.filter((m) => place(m) >= 0)
  showRequests(shown)
  showTimes(shown)
  for (const [id, back] of [['from', 59], ['half', 30], ['to', 0]]) {
    for (const chart of ['requests', 'times']) put($(chart + '-' + id), minute(now() - back * 60e3))
  }
}

function showRequests(history) {
  const most = Math.max(1, ...history.map((m) => m.requests))
  const total = (of) => history.reduce((n, m) => n + m[of], 0)
  put($('requests-most'), count(most))
  attr($('requests-chart'), 'aria-label', 'Requests of the last hour, by the minute: ' + plural(total('requests'), 'request', 'requests') + ', of which ' +
    count(total('refused')) + ' were refused and ' + count(total('failed')) + ' failed; at most ' + count(most) + ' a minute')
  const columns = []
  for (const m of history) {
    const served = Math.max(0, m.requests - m.refused - m.failed)
    columns.push({
      at: place(m), label: minute(Date.parse(m.time)) + ': ' + plural(m.requests, 'request', 'requests') + ', ' + count(m.refused) + ' refused, ' + count(m.failed) + ' failed',
      bars: [['failed', 0, m.failed], ['refused', m.failed, m.refused], ['served', m.failed + m.refused, served]].map(([kind, from, n]) => [kind, from / most, n / most]),
    })
  }
  draw($('requests-chart'), columns)
}

function showTimes(history) {
  const timed = history.filter((m) => m.p95_ms > 0)
  const most = Math.max(1, ...timed.map((m) => m.p95_ms))
  put($('times-most'), timed.length ? milliseconds(most) : 'no allowed request')
  const last = timed[timed.length - 1]
  attr($('times-chart'), 'aria-label', 'Time to the first byte of allowed requests, by the minute: ' +
    (last ? 'in the last one, half of them within ' + milliseconds(last.median_ms) + ' and 95 % within ' + milliseconds(last.p95_ms) : 'there were none in the last hour'))
  draw($('times-chart'), timed.map((m) => ({
    at: place(m), label: minute(Date.parse(m.time)) + ': half within ' + milliseconds(m.median_ms) + ', 95 % within ' + milliseconds(m.p95_ms),
    bars: [['p95', 0, m.p95_ms / most], ['median', 0, m.median_ms / most]],
  })))
}

// draw makes the columns of a chart. Each consists of bars, whose beginning and length are shares of the chart's
// height.
function draw(svg, columns) {
  const node = (tag, kind, at, from, share) => {
    const made = document.createElementNS(svg.namespaceURI, tag)
    for (const [name, value] of Object.entries({ class: kind, x: at + 0.1, y: height * (1 - from - share), width: 0.8, height: height * share })) made.setAttribute(name, value)
    return made
  }
  svg.replaceChildren(...columns.map((c) => {
    const column = document.createElementNS(svg.namespaceURI, 'g')
    const title = document.createElementNS(svg.namespaceURI, 'title')
    title.textContent = c.label
    column.append(title, node('rect', 'whole', c.at, 0, 1), ...c.bars.filter(([, , share]) => share > 0).map(([kind, from, share]) => node('rect', kind, c.at, from, share)))
    return column
  }))
}
