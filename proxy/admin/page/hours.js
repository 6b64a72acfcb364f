// The last hour of each key and chatflow, as a small chart beside its counts. The gate starts a new slot every two
// minutes, so asking once a minute is enough.

import { $, attr, count, milliseconds } from './text.js'

const slots = 30
const interval = 60e3 // ms
const height = 20

let hours = { keys: {}, chatflows: {} }
let due = 0
let asked = ''

// askHours asks the gate for the hours of what query shows, if they are due or the query has changed. It returns
// whether it got new ones.
export async function askHours(query) {
  const text = String(query)
  if (text === asked && Date.now() < due) return false
  asked = text
  due = Date.now() + interval
  try {
    const res = await fetch('status/hours?' + text, { credentials: 'omit', signal: AbortSignal.timeout(10e3) })
    if (res.ok) hours = await res.json()
    return res.ok
  } catch {
    return false // the status says that the gate does not respond
  }
}

export const hourOfKey = (id) => (Object.hasOwn(hours.keys, id) ? hours.keys[id] : null)
export const hourOfChatflow = (id) => (Object.hasOwn(hours.chatflows, id) ? hours.chatflows[id] : null)

// showHour draws an hour: requests as bars, those that failed at the bottom and then those that were refused, and the time to
// the first byte as a line. hour is null if nothing happened.
export function showHour(box, hour) {
  const key = hour ? JSON.stringify(hour) : ''
  if (box.dataset.hour === key) return
  box.dataset.hour = key
  if (!hour) return box.replaceChildren()
  const shape = (tag, attributes, ...children) => {
    const made = document.createElementNS($('requests-chart').namespaceURI, tag)
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    made.append(...children)
    return made
  }
  const first = slots - hour.requests.length
  const list = (name) => hour[name] || hour.requests.map(() => 0)
  const [refused, failed, ms] = [list('refused'), list('failed'), list('ms')]
  const most = Math.max(...hour.requests)
  const slowest = Math.max(...ms)
  const bars = hour.requests.flatMap((requests, i) => {
    let below = 0
    return [['failed', failed[i]], ['refused', refused[i]], ['served', Math.max(0, requests - failed[i] - refused[i])]].filter(([, n]) => n > 0).map(([kind, n]) => {
      below += n
      return shape('rect', { class: kind, x: first + i + 0.1, y: height * (1 - below / most), width: 0.8, height: height * n / most })
    })
  })
  const points = ms.map((n, i) => [first + i + 0.5, n > 0 ? height * (1 - 0.9 * n / slowest) : null]).filter(([, y]) => y !== null)
  const sum = (l) => l.reduce((a, b) => a + b, 0)
  const text = 'Last hour: ' + count(sum(hour.requests)) + ' requests, ' + count(sum(refused)) + ' refused, ' + count(sum(failed)) + ' failed' +
    (slowest > 0 ? '; first byte after ' + milliseconds(slowest) + ' at most, on average of two minutes' : '')
  const chart = shape('svg', { viewBox: '0 0 ' + slots + ' ' + height, preserveAspectRatio: 'none', class: 'spark', role: 'img' }, shape('title', {}, text), ...bars)
  attr(chart, 'aria-label', text)
  if (points.length > 1) chart.append(shape('polyline', { class: 'line', points: points.map((p) => p.join(',')).join(' '), 'vector-effect': 'non-scaling-stroke' }))
  box.replaceChildren(chart)
}
