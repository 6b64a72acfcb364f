// Polls the status of the gate and shows it. What is chosen on the page is in its address.

import { $, clock, now, put, setClock, span, visible } from './text.js'
import { showOrder, sortable } from './table.js'
import { showAlerts } from './alerts.js'
import { showTiles } from './tiles.js'
import { askHours } from './hours.js'
import { showCharts } from './chart.js'
import { showChatflows } from './chatflows.js'
import { showKeys } from './keys.js'
import { showRefusals } from './refusals.js'
import { showReloads, showSettings } from './reloads.js'

const limit = 100 // rows of a table
const interval = 2000 // ms from a response to the next request
const longest = 20000 // ms, the same if the gate is slow
const timeout = 10000 // ms for a response

function show(s) {
  put($('about'), 'version ' + visible(s.version) + ' · up ' + span(now() - Date.parse(s.started_at)) + ' · preset ' + visible(s.preset) + ' · route groups: ' + s.settings.expose.map(visible).join(', '))
  showAlerts(s)
  showTiles(s)
  showCharts(s.history)
  showChatflows(s)
  showKeys(s)
  showRefusals(s, chosen.filter !== '')
  showReloads(s)
  showSettings(s)
}

// --- what is chosen

const usual = { filter: '', chatflows_by: 'last_call', keys_by: 'last_used' }
const chosen = { ...usual }

function readAddress() {
  const query = new URLSearchParams(location.search)
  for (const name of Object.keys(usual)) chosen[name] = query.get(name) ?? usual[name]
  $('filter').value = chosen.filter
}

function choose(changes) {
  Object.assign(chosen, changes)
  const query = new URLSearchParams(Object.entries(chosen).filter(([name, value]) => value !== usual[name]))
  history.replaceState(null, '', query.size ? '?' + query : location.pathname)
  showChosen()
  poll()
}

function showChosen() {
  showOrder($('chatflows'), chosen.chatflows_by)
  showOrder($('keys'), chosen.keys_by)
}

// --- polling

let last = null // response
let lostSince = 0
let fault = '' // why the gate refuses to show the status
let timer = 0
let polling = null

async function poll() {
  clearTimeout(timer)
  if (document.hidden) return // polls again when it is visible
  if (polling) polling.abort()
  const mine = polling = new AbortController()
  const abort = setTimeout(() => mine.abort(), timeout)
  const begin = Date.now()
  try {
    const query = new URLSearchParams({ limit, ...chosen })
    const res = await fetch('status?' + query, { signal: mine.signal, credentials: 'omit' })
    const body = res.ok ? await res.json() : await res.text()
    if (polling !== mine) return
    fault = res.status === 400 ? body : '' // the gate does not accept what is in the address
    if (!res.ok) throw new Error('status ' + res.status)
    setClock(body.now)
    last = body
    lostSince = 0
    show(body)
    if (await askHours(query) && polling === mine) show(body)
  } catch (err) {
    if (polling !== mine) return // another request took its place
    lostSince = lostSince || begin
  } finally {
    clearTimeout(abort)
    if (polling === mine) {
      polling = null
      showConnection()
      timer = setTimeout(poll, Math.min(longest, Math.max(interval, 20 * (Date.now() - begin)))) // less often if the gate is slow
    }
  }
}

function showConnection() {
  const lost = lostSince > 0
  $('connection').classList.toggle('lost', lost)
  document.body.classList.toggle('lost-data', lost && last !== null)
  put($('connection'), fault ? 'The gate does not understand the address of this page: ' + visible(fault)
    : lost ? 'No response from the gate since ' + clock(lostSince + now() - Date.now()) + ' UTC (' + span(Date.now() - lostSince) + ')' + (last ? '; the data is from ' + clock(Date.parse(last.now)) : '')
      : last ? 'Live · ' + clock(Date.parse(last.now)) + ' UTC' : 'Loading …')
  if (lost) put($('announce'), 'Connection to the gate lost')
}

let typing = 0
$('filter').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => choose({ filter: $('filter').value.trim() }), 250) })
sortable($('chatflows'), (order) => choose({ chatflows_by: order }))
sortable($('keys'), (order) => choose({ keys_by: order }))
document.addEventListener('visibilitychange', poll)
setInterval(() => { if (lostSince && !document.hidden) showConnection() }, 1000)
readAddress()
showChosen()
poll()
