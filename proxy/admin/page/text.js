'use strict'
// Puts texts, times and tables into the page: as text, never as markup, and in place, so that nothing jumps.

const $ = (id) => document.getElementById(id)

// --- text

const number = new Intl.NumberFormat('en-US')
const count = (n) => number.format(n)
const plural = (n, one, many) => count(n) + ' ' + (n === 1 ? one : many)
const upper = (s) => s[0].toUpperCase() + s.slice(1)

// Invisible characters, and those that reverse what follows, are shown as escapes.
const invisible = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]/g
const visible = (s) => String(s).replace(invisible, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
const visibleLines = (s) => String(s).split('\n').map(visible).join('\n')

function put(node, text) {
  if (node.textContent !== text) node.textContent = text
}
function attr(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}
function make(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

// --- times, by the gate's clock

let ahead = 0 // ms by which it is ahead of the browser's
const now = () => Date.now() + ahead
const stamp = (t) => new Date(t).toISOString().slice(0, 16).replace('T', ' ') + ' UTC'
const clock = (ms) => new Date(ms).toLocaleTimeString()

function span(ms) {
  const s = Math.floor(Math.abs(ms) / 1000)
  if (s < 60) return s + ' s'
  if (s < 3600) return Math.floor(s / 60) + ' min'
  if (s < 48 * 3600) return Math.floor(s / 3600) + ' h'
  return count(Math.floor(s / 86400)) + ' d'
}
const since = (t) => span(now() - Date.parse(t))
function ago(t) {
  const ms = now() - Date.parse(t)
  return ms < 1000 ? 'just now' : span(ms) + ' ago'
}
function within(t) {
  const ms = Date.parse(t) - now()
  return ms < 0 ? span(ms) + ' ago' : 'in ' + span(ms)
}
const until = (t) => within(t) + ' · ' + stamp(t)

// --- tables: the row of an item stays the same element, so that nothing jumps

function sync(body, items, keyOf, fill, empty, columns) {
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]))
  const labels = [...body.parentNode.querySelectorAll('thead th')].map((th) => th.textContent)
  if (items.length === 0) items = [null]
  items.forEach((item, i) => {
    const key = item === null ? 'empty' : 'row ' + keyOf(item)
    let row = rows.get(key)
    if (!row) {
      row = make('tr')
      row.dataset.key = key
      row.setAttribute('role', 'row')
      const n = item === null ? 1 : columns
      for (let c = 0; c < n; c++) {
        const cell = make(c === 0 && item !== null ? 'th' : 'td', labelClass(body, c))
        cell.setAttribute('role', c === 0 && item !== null ? 'rowheader' : 'cell')
        if (c === 0 && item !== null) cell.setAttribute('scope', 'row')
        if (c > 0) cell.dataset.label = labels[c]
        if (item === null) { cell.colSpan = columns; cell.className = 'muted' }
        row.append(cell)
      }
    }
    rows.delete(key)
    if (item === null) put(row.cells[0], empty)
    else fill(row.cells, item)
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null)
  })
  for (const row of rows.values()) row.remove()
}
function labelClass(body, c) {
  const th = body.parentNode.querySelectorAll('thead th')[c]
  return th.classList.contains('num') ? 'num' : ''
}

// lines fills a cell with a main text and smaller ones below it.
function lines(cell, main, ...subs) {
  if (!cell.firstChild) {
    cell.append(make('bdi', 'clamp'))
    for (const _ of subs) cell.append(make('bdi', 'sub clamp'))
  }
  put(cell.children[0], main)
  attr(cell.children[0], 'title', main)
  subs.forEach((sub, i) => {
    put(cell.children[i + 1], sub)
    attr(cell.children[i + 1], 'title', sub)
    cell.children[i + 1].hidden = sub === ''
  })
}
function color(node, name) {
  for (const c of ['bad', 'warn', 'good']) node.classList.toggle(c, c === name)
}
