'use strict'
// Asks the gate for its state and shows it. What the gate says is put into the page as text, never as markup.

const limit = 200 // rows of a table; the gate chooses which
const every = 2000 // ms from one answer to the next question
const patience = 10000 // ms for an answer

const codes = (refused) => Object.entries(refused || {}).sort((a, b) => b[1] - a[1])
const sum = (refused) => codes(refused).reduce((n, [, m]) => n + m, 0)
const listCodes = (refused) => codes(refused).map(([code, n]) => code + ' ' + count(n)).join(' · ')
const own5xx = ['overloaded', 'upstream_unreachable', 'upstream_timeout', 'draining'] // by which the gate itself answers 500 and above

// --- what is shown

function show(s) {
  put($('about'), 'version ' + visible(s.version) + ' · up ' + span(now() - Date.parse(s.started_at)) + ' · preset ' + visible(s.preset) + ' · route groups: ' + s.settings.expose.map(visible).join(', '))
  showAlerts(s)
  showTiles(s)
  showChatflows(s)
  showKeys(s)
  sync($('reloads').tBodies[0], s.recent_reloads, (r) => r.time, fillReload, 'The key file was not read yet.', 4)
  showSettings(s)
}

function showAlerts(s) {
  const alerts = []
  const add = (kind, title, text, detail) => alerts.push({ kind, title, text, detail })
  if (s.draining) add('warn', 'Shutting down', 'New requests are answered 503; ' + plural(s.open_requests, 'open request may', 'open requests may') + ' finish.')
  if (s.stale) {
    const fault = s.recent_reloads.find((r) => r.result === 'failure')
    add('bad', 'The keys are stale', 'The key file has a fault' + (fault ? ', found ' + ago(fault.time) : '') + ', so generation ' + count(s.generation) +
      ' stays in force. What was revoked since is not revoked.', s.fault)
  }
  if (s.upstream.up === false) add('bad', 'The runner cannot be reached', 'Since ' + ago(s.upstream.since).replace(' ago', '') + '; requests get 502. ' + visible(s.upstream.url), s.upstream.error)
  for (const c of s.certificates || []) showCertificate(add, c)
  const refused = sum(s.recent.refused)
  if (refused > 0) add('warn', plural(refused, 'request', 'requests') + ' refused or not served in the last ' + seconds(s), listCodes(s.recent.refused))
  const failed = s.recent.failed - own5xx.reduce((n, code) => n + ((s.recent.refused || {})[code] || 0), 0)
  if (failed > 0) add('warn', plural(failed, 'answer', 'answers') + ' of 500 and above from the runner in the last ' + seconds(s), 'It is there, and fails. The chatflows below have a column for it, and the log a line for each.')
  if (s.key_counts.expiring > 0) add('warn', plural(s.key_counts.expiring, 'key expires', 'keys expire') + ' within 14 days', 'Order the keys by expiry to see which.')
  if (s.warnings.length > 0) add('warn', plural(s.warnings.length, 'warning', 'warnings') + ' about the key file', '', s.warnings.join('\n'))
  if (s.key_counts.total === 0) add('warn', 'There are no keys', 'Only what is public can be called. `flowlatch key new` makes a key.')
  if (alerts.length === 0) add('good', 'Nothing needs attention', 'The key file is in force, the runner can be reached, and nothing was refused or failed in the last ' + seconds(s) + '.')
  if (s.upstream.up === null && !s.stale) alerts.filter((a) => a.kind === 'good').forEach((a) => { a.text = 'The key file is in force. The runner was not tried yet.' })

  const list = $('alerts')
  while (list.children.length > alerts.length) list.lastChild.remove()
  alerts.forEach((a, i) => {
    let li = list.children[i]
    if (!li || li.children.length !== 3) {
      const made = make('li')
      made.append(make('strong'), make('span'), make('pre'))
      if (li) li.replaceWith(made)
      else list.append(made)
      li = made
    }
    if (li.className !== 'alert ' + a.kind) li.className = 'alert ' + a.kind
    put(li.children[0], a.title)
    put(li.children[1], a.text)
    put(li.children[2], visibleLines(a.detail || ''))
    li.children[2].hidden = !a.detail
  })
  // Read out only what is new and matters.
  put($('announce'), alerts.filter((a) => a.kind === 'bad').map((a) => a.title).join('. '))
  put(document.querySelector('title'), (s.stale ? 'Stale keys · ' : s.upstream.up === false ? 'Runner down · ' : '') + 'flowlatch status')
}

const certificates = {
  server: 'certificate of the gate', client_ca: 'authorities of callers’ certificates', upstream_client: 'certificate for the runner', upstream_ca: 'authorities of the runner’s certificate',
}
const certificate = (c) => certificates[c.certificate] || visible(c.certificate)

function showCertificate(add, c) {
  const left = Date.parse(c.not_after) - now()
  if (c.stale) add('bad', 'Fault in the files of the ' + certificate(c), 'What was in force before stays so; it ' + (left < 0 ? 'ended ' : 'ends ') + until(c.not_after) + '.', c.fault)
  const authorities = c.certificate.endsWith('_ca') // of which those that have not ended go on
  const it = authorities ? 'The first of them ' : 'It '
  if (left < 0) add('bad', 'End of the ' + certificate(c), it + 'ended ' + until(c.not_after) + (authorities ? '; certificates that it signed are refused.' : '; whoever checks it refuses it.'))
  else if (left < 14 * 86400e3) add('warn', 'End of the ' + certificate(c), it + (authorities ? 'to end ends ' : 'ends ') + until(c.not_after) + '.')
}

const seconds = (s) => (s.recent.seconds >= 60 ? 'minute' : s.recent.seconds < 2 ? 'second' : count(s.recent.seconds) + ' s')

function tile(id, main, more, kind) {
  put($(id), main)
  put($(id + '-more'), more)
  colour($(id), kind)
}

function showTiles(s) {
  const up = s.upstream.up
  tile('t-runner', up === null ? 'not tried yet' : up ? 'up' : 'down', visible(s.upstream.url) + (s.upstream.since ? ', since ' + ago(s.upstream.since).replace(' ago', '') : ''), up === null ? '' : up ? 'good' : 'bad')
  tile('t-file', s.stale ? 'stale' : 'in force', 'generation ' + count(s.generation) + ', last reload ' + (s.last_reload.result ? ago(s.last_reload.time) : 'never'), s.stale ? 'bad' : 'good')
  put($('t-recent-title'), 'Requests, last ' + seconds(s))
  put($('t-refused-title'), 'Refused, last ' + seconds(s))
  tile('t-recent', count(s.recent.requests), count(s.totals.requests) + ' since the start')
  const refused = sum(s.recent.refused)
  tile('t-refused', count(refused), refused ? listCodes(s.recent.refused) : count(sum(s.totals.refused)) + ' since the start', refused ? 'warn' : '')
  tile('t-open', plural(s.totals.streams, 'stream', 'streams'), plural(s.open_requests, 'request', 'requests') + ' in all')
  const k = s.key_counts
  const parts = [[k.expiring, 'expiring'], [k.expired, 'expired'], [k.disabled, 'disabled'], [k.not_yet_valid, 'not valid yet']].filter(([n]) => n > 0).map(([n, word]) => count(n) + ' ' + word)
  tile('t-keys', count(k.valid) + ' valid', parts.join(', ') || 'of ' + count(k.total), k.expiring ? 'warn' : '')
}

// note says how many of how many are shown.
function note(shown, counts, one, many) {
  if (counts.matching < counts.total) {
    return shown < counts.matching
      ? 'The first ' + count(shown) + ' of ' + count(counts.matching) + ' that the filter lets through, of ' + plural(counts.total, one, many) + '.'
      : plural(counts.matching, one, many) + ' of ' + count(counts.total) + ', by the filter.'
  }
  return shown < counts.total ? 'The first ' + count(shown) + ' of ' + plural(counts.total, one, many) + '; the filter finds the others.' : plural(counts.total, one, many) + '.'
}

function showChatflows(s) {
  const every = s.chatflow_counts.every
  put($('chatflows-note'), note(s.chatflows.length, s.chatflow_counts, 'chatflow', 'chatflows') +
    (every ? ' Keys of “*” open every chatflow.' : ' A chatflow that is not listed is closed.'))
  const rows = s.chatflows.map((c) => ({ ...c, every }))
  if (s.unlisted.requests > 0) rows.push({ ...s.unlisted, unlisted: true })
  sync($('chatflows').tBodies[0], rows, (c) => (c.unlisted ? 'unlisted' : 'id ' + c.id), fillChatflow,
    s.chatflow_counts.total ? 'No chatflow has this in its ID, its name or the ID of a key.' : 'The key file lists no chatflow, so all are closed.', 7)
}

function fillChatflow(cells, c) {
  if (c.unlisted) lines(cells[0], 'none that is listed', 'other paths, malformed requests, chatflows that the key file does not list')
  else if (c.id === '*') lines(cells[0], c.name ? visible(c.name) : 'every chatflow', '* (counted here: those not listed)')
  else lines(cells[0], visible(c.name || c.id), c.name ? visible(c.id) : '')
  lines(cells[1], whoMayCall(c))
  colour(cells[1].children[0], c.public ? 'warn' : '')
  put(cells[2], count(c.requests))
  lines(cells[3], count(sum(c.refused)), listCodes(c.refused))
  put(cells[4], count(c.failed))
  colour(cells[4], c.failed ? 'bad' : '')
  put(cells[5], count(c.streams))
  lines(cells[6], c.last_call ? ago(c.last_call) : 'never', c.last_call ? stamp(c.last_call) : '')
}

function whoMayCall(c) {
  if (c.unlisted) return 'nobody, but for public routes'
  const who = c.keys.map(visible)
  if (c.key_count > c.keys.length) who.push(count(c.key_count - c.keys.length) + ' more keys')
  if (c.public) return 'everybody (public)' + (who.length ? '; keys: ' + who.join(', ') : '')
  if (c.every && c.id !== '*') who.push('keys of *')
  return who.join(', ')
}

const states = {
  valid: ['valid', 'good'], disabled: ['disabled', ''], expired: ['expired', 'bad'], not_yet_valid: ['not valid yet', 'warn'], unknown: ['no secret', 'bad'],
}

function showKeys(s) {
  put($('keys-note'), note(s.keys.length, s.key_counts, 'key', 'keys') + ' Last use is known since the gate started.')
  sync($('keys').tBodies[0], s.keys, (k) => k.id, fillKey, s.key_counts.total ? 'No key has this in its ID.' : 'The key file has no keys; `flowlatch key new` makes one.', 6)
}

function fillKey(cells, k) {
  lines(cells[0], visible(k.id))
  let [word, kind] = states[k.status] || [visible(k.status), '']
  const soon = k.status === 'valid' && k.not_after && Date.parse(k.not_after) - now() < 14 * 86400e3
  if (soon) { word = 'expires soon'; kind = 'warn' }
  lines(cells[1], word, k.status === 'not_yet_valid' && k.not_before ? until(k.not_before) : '')
  colour(cells[1].children[0], kind)
  lines(cells[2], k.last_used ? ago(k.last_used) : 'not since the start', k.last_used ? stamp(k.last_used) : '')
  put(cells[3], k.not_after ? until(k.not_after) : 'never')
  put(cells[4], count(k.secrets))
  put(cells[5], count(k.generation))
}

const results = { success: ['in force', 'good'], unchanged: ['unchanged', ''], failure: ['refused', 'bad'] }

function fillReload(cells, r) {
  lines(cells[0], ago(r.time), stamp(r.time))
  const [word, kind] = results[r.result] || [visible(r.result), '']
  lines(cells[1], word)
  colour(cells[1].children[0], kind)
  put(cells[2], count(r.generation))
  const changes = [['keys added', r.keys_added], ['keys changed', r.keys_changed], ['keys removed', r.keys_removed],
    ['chatflows added', r.chatflows_added], ['chatflows changed', r.chatflows_changed], ['chatflows removed', r.chatflows_removed]]
    .filter(([, ids]) => ids).map(([what, ids]) => what + ': ' + ids.map(visible).join(', '))
  const same = r.result === 'success' ? 'nothing but comments or layout' : 'nothing'
  put(cells[3], r.error ? visible(r.error) : changes.join('; ') || same)
}

function showSettings(s) {
  const t = s.settings
  const rows = [
    ['Key file', t.keys],
    ['TLS to callers', (s.certificates || []).some((c) => c.certificate === 'server') ? 'on' : 'none: callers come in by plain HTTP'],
    ...(s.certificates || []).map((c) => ['The ' + certificate(c), (c.names.join(', ') || 'without a name') + ', ends ' + until(c.not_after)]),
    ['Route groups opened (expose)', t.expose.join(', ')],
    ['Discovery', t.discovery === 'open' ? 'open: whether a listed chatflow streams is told without a key' : 'keyed'],
    ['Credential for the runner (upstream authorization)', t.upstream_authorization],
    ['Public URL', t.public_url || 'none: the runner is told its own host'],
    ['Trusted proxies', t.trusted_proxies.join(', ') || 'none: X-Forwarded-For is not believed'],
    ['CORS origins', t.cors_origins.join(', ') || 'none: the runner answers browsers'],
    ['Failure limit of an address', t.failure_limit === 'off' ? 'off: keys may be guessed without end' : t.failure_limit],
    ['Open streams of a revoked key', t.cut_streams_on_revoke ? 'are cut' : 'may finish'],
    ['Largest body', count(t.max_body) + ' bytes; where it is checked, ' + count(t.max_checked_body)],
  ]
  const list = $('settings')
  while (list.children.length > 2 * rows.length) list.lastChild.remove()
  while (list.children.length < 2 * rows.length) list.append(make(list.children.length % 2 ? 'dd' : 'dt'))
  rows.forEach(([name, value], i) => {
    put(list.children[2 * i], name)
    put(list.children[2 * i + 1], visible(value))
  })
}

// --- asking

let last = null // answer
let answeredAt = 0
let lostSince = 0
let timer = 0
let asking = null

async function ask() {
  clearTimeout(timer)
  if (document.hidden) return // asked again when it is seen
  if (asking) asking.abort()
  const mine = asking = new AbortController()
  const tooLong = setTimeout(() => mine.abort(), patience)
  const begin = Date.now()
  const query = new URLSearchParams({ limit, filter: $('filter').value, keys_by: $('keys-by').value, chatflows_by: $('chatflows-by').value })
  try {
    const res = await fetch('status?' + query, { signal: mine.signal, credentials: 'omit' })
    if (!res.ok) throw new Error('the gate answered ' + res.status)
    const s = await res.json()
    if (asking !== mine) return
    ahead = Date.parse(s.now) - Date.now()
    last = s
    answeredAt = Date.now()
    lostSince = 0
    show(s)
  } catch (err) {
    if (asking !== mine) return // another question took its place
    lostSince = lostSince || begin
  } finally {
    clearTimeout(tooLong)
    if (asking === mine) {
      asking = null
      showConnection()
      timer = setTimeout(ask, Math.max(every, 20 * (Date.now() - begin))) // a gate that takes long is asked seldom
    }
  }
}

function showConnection() {
  const lost = lostSince > 0
  $('connection').classList.toggle('lost', lost)
  document.body.classList.toggle('lost-data', lost && last !== null)
  put($('connection'), lost
    ? 'No answer from the gate since ' + clock(lostSince) + ' (' + span(Date.now() - lostSince) + ')' + (last ? '; what is shown is from ' + clock(answeredAt) : '')
    : last ? 'Live, last answer ' + clock(answeredAt) : 'Asking the gate …')
  if (lost) put($('announce'), 'The connection to the gate is lost')
}

let typing = 0
$('filter').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(ask, 250) })
$('keys-by').addEventListener('change', ask)
$('chatflows-by').addEventListener('change', ask)
document.addEventListener('visibilitychange', ask)
setInterval(() => { if (lostSince && !document.hidden) showConnection() }, 1000)
ask()
