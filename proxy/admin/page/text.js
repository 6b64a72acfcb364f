// Texts, numbers and times. Whatever comes from the gate gets into the page as text, never as markup.

export const $ = (id) => document.getElementById(id)

const number = new Intl.NumberFormat('en-US')
export const count = (n) => number.format(n)
export const plural = (n, one, many) => count(n) + ' ' + (n === 1 ? one : many)
export const upper = (s) => s[0].toUpperCase() + s.slice(1)

// Invisible characters, and those that reverse what follows, are shown as escapes.
const invisible = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]/g
export const visible = (s) => String(s).replace(invisible, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
export const visibleLines = (s) => String(s).split('\n').map(visible).join('\n')

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text
}
export function attr(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}
// putIDs is like put, for a text in which chatflow IDs must not break across lines.
export function putIDs(node, text) {
  if (node.textContent === text) return
  node.replaceChildren(...text.split(uuid).map((part, i) => (i % 2 ? make('span', 'whole-id', part) : part)))
}
const uuid = /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/

// short returns a chatflow ID without most of its digits, where there is no room for them.
export const short = (s) => s.replace(uuid, (id) => id.slice(0, 8) + '…')

export function make(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}
export function color(node, name) {
  for (const c of ['bad', 'warn', 'good', 'muted']) node.classList.toggle(c, c === name)
}

// --- times, by the gate's clock and in UTC, as in the key file and the log

let ahead = 0 // ms by which the gate's clock is ahead of the browser's
export const setClock = (t) => { ahead = Date.parse(t) - Date.now() }
export const now = () => Date.now() + ahead
export const stamp = (t) => new Date(t).toISOString().slice(0, 16).replace('T', ' ')
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19)
export const minute = (ms) => new Date(ms).toISOString().slice(11, 16)

export function span(ms) {
  const s = Math.floor(Math.abs(ms) / 1000)
  if (s < 60) return s + ' s'
  if (s < 3600) return Math.floor(s / 60) + ' min'
  if (s < 48 * 3600) return Math.floor(s / 3600) + ' h'
  return count(Math.floor(s / 86400)) + ' d'
}
export const since = (t) => span(now() - Date.parse(t))
export function ago(t) {
  const ms = now() - Date.parse(t)
  return ms < 1000 ? 'just now' : span(ms) + ' ago'
}
export function within(t) {
  const ms = Date.parse(t) - now()
  return ms < 0 ? span(ms) + ' ago' : 'in ' + span(ms)
}
export const until = (t) => within(t) + ' (' + stamp(t) + ')'
export const milliseconds = (ms) => (ms < 10 ? ms.toFixed(1) + ' ms' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(1) + ' s')

// --- refusals by code

const codes = (refused) => Object.entries(refused || {}).sort((a, b) => b[1] - a[1])
export const sum = (refused) => codes(refused).reduce((n, [, m]) => n + m, 0)
export const listCodes = (refused) => codes(refused).map(([code, n]) => code + ' ' + count(n)).join(' · ')

// The codes of responses that are the gate's own and have a status of 500 or above: requests that it could not serve.
const notServed = ['overloaded', 'upstream_unreachable', 'upstream_timeout', 'draining', 'internal_error']
const pick = (refused, wanted) => Object.fromEntries(codes(refused).filter(([code]) => wanted(code)))
export const unserved = (refused) => pick(refused, (code) => notServed.includes(code))
export const turnedAway = (refused) => pick(refused, (code) => !notServed.includes(code))
