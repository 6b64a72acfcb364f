'use strict'
// Polls the status of the gate and shows it.

const limit = 200 // rows of a table
const interval = 2000 // ms from a response to the next request
const timeout = 10000 // ms for a response

const codes = (refused) => Object.entries(refused || {}).sort((a, b) => b[1] - a[1])
const sum = (refused) => codes(refused).reduce((n, [, m]) => n + m, 0)
const listCodes = (refused) => codes(refused).map(([code, n]) => code + ' ' + count(n)).join(' · ')
const own5xx = ['overloaded', 'upstream_unreachable', 'upstream_timeout', 'draining', 'internal_error'] // codes of the gate's own responses with a status of 500 or above

// --- the page

function show(s) {
  put($('about'), 'version ' + visible(s.version) + ' · up ' + span(now() - Date.parse(s.started_at)) + ' · preset ' + visible(s.preset) + ' · route groups: ' + s.settings.expose.map(visible).join(', '))
  showAlerts(s)
  showTiles(s)
  showChatflows(s)
  showKeys(s)
  sync($('reloads').tBodies[0], s.recent_reloads, (r) => r.time, fillReload, 'The key file has not been read yet.', 4)
  showSettings(s)
}

function showAlerts(s) {
  const alerts = []
  const add = (kind, title, text, detail) => alerts.push({ kind, title, text, detail })
  if (s.draining) add('warn', 'Shutting down', 'New requests get 503; ' + plural(s.open_requests, 'open request', 'open requests') + ' may finish.')
  if (s.stale) {
    const fault = s.recent_reloads.find((r) => r.result === 'failure')
    add('bad', 'Key file invalid: the last good keys stay active', (fault ? 'Found ' + ago(fault.time) + '. ' : '') + 'Generation ' + count(s.generation) +
      ' stays active, and keys revoked since still work.', s.fault)
  }
  if (s.upstream.up === false) add('bad', 'The upstream cannot be reached', 'Down for ' + since(s.upstream.since) + '; requests get 502 or 504. ' + visible(s.upstream.url), s.upstream.error)
  for (const c of s.certificates || []) showCertificate(add, c)
  const refused = sum(s.recent.refused)
  if (refused > 0) add('warn', plural(refused, 'request', 'requests') + ' refused or not served in the last ' + seconds(s), listCodes(s.recent.refused))
  const failed = s.recent.failed - own5xx.reduce((n, code) => n + ((s.recent.refused || {})[code] || 0), 0)
  if (failed > 0) add('warn', plural(failed, 'response', 'responses') + ' with a status of 500 or above from the upstream in the last ' + seconds(s), 'See the column 5xx below; the log has a line for each.')
  if (s.key_counts.expiring > 0) add('warn', plural(s.key_counts.expiring, 'key expires', 'keys expire') + ' within 14 days', 'Sort the keys by expiry to see which.')
  if (s.warnings.length > 0) add('warn', plural(s.warnings.length, 'warning', 'warnings') + ' about the key file', '', s.warnings.join('\n'))
  if (s.key_counts.total === 0) add('warn', 'The key file has no keys', 'Only public chatflows and routes are open. `flowlatch key new` makes a key.')
  if (alerts.length === 0) add('good', 'No alerts', 'The key file is valid, the upstream is up, and no request was refused or failed in the last ' + seconds(s) + '.')
  if (s.upstream.up === null && !s.stale) alerts.filter((a) => a.kind === 'good').forEach((a) => { a.text = 'The key file is valid. The upstream has not been tried yet.' })

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
  // Screen readers announce only what is new and matters.
  put($('announce'), alerts.filter((a) => a.kind === 'bad').map((a) => a.title).join('. '))
  put(document.querySelector('title'), (s.stale ? 'Key file invalid · ' : s.upstream.up === false ? 'Upstream down · ' : '') + 'flowlatch status')
}

const certificates = {
  server: 'server certificate', client_ca: 'CAs of client certificates', upstream_client: 'client certificate for the upstream', upstream_ca: 'CAs of the upstream',
}
const certificate = (c) => certificates[c.certificate] || visible(c.certificate)

function showCertificate(add, c) {
  const left = Date.parse(c.not_after) - now()
  const cas = c.certificate.endsWith('_ca') // of which those that have not expired stay in use
  const expiry = (left < 0 ? 'expired ' : 'expires ') + until(c.not_after)
  if (c.stale) add('bad', 'Invalid files: ' + certificate(c), 'The last good version stays in use; it ' + expiry + '.', c.fault)
  if (left < 0) add('bad', 'Expired: ' + certificate(c), cas ? 'The first CA ' + expiry + '; certificates that it issued are refused.' : 'It ' + expiry + '; peers that verify it refuse to connect.')
  else if (left < 14 * 86400e3) add('warn', 'Expires soon: ' + certificate(c), (cas ? 'The first CA ' : 'It ') + expiry + '.')
}

const seconds = (s) => (s.recent.seconds >= 60 ? 'minute' : s.recent.seconds < 2 ? 'second' : count(s.recent.seconds) + ' s')

function tile(id, main, more, kind) {
  put($(id), main)
  put($(id + '-more'), more)
  color($(id), kind)
}

function showTiles(s) {
  const up = s.upstream.up
  tile('t-upstream', up === null ? 'not tried yet' : up ? 'up' : 'down', visible(s.upstream.url) + (s.upstream.since ? ', for ' + since(s.upstream.since) : ''), up === null ? '' : up ? 'good' : 'bad')
  tile('t-file', s.stale ? 'invalid' : 'valid', 'generation ' + count(s.generation) + ', last reload ' + (s.last_reload.result ? ago(s.last_reload.time) : 'never'), s.stale ? 'bad' : 'good')
  put($('t-recent-title'), 'Requests, last ' + seconds(s))
  put($('t-refused-title'), 'Refused, last ' + seconds(s))
  tile('t-recent', count(s.recent.requests), count(s.totals.requests) + ' since the start')
  const refused = sum(s.recent.refused)
  tile('t-refused', count(refused), refused ? listCodes(s.recent.refused) : count(sum(s.totals.refused)) + ' since the start', refused ? 'warn' : '')
  tile('t-open', count(s.open_requests), plural(s.totals.streams, 'stream', 'streams'))
  const k = s.key_counts
  const parts = [[k.expiring, 'expiring'], [k.expired, 'expired'], [k.disabled, 'disabled'], [k.not_yet_valid, 'not valid yet']].filter(([n]) => n > 0).map(([n, word]) => count(n) + ' ' + word)
  tile('t-keys', count(k.valid) + ' valid', parts.join(', ') || 'of ' + count(k.total), k.expiring ? 'warn' : '')
}

// note says how many rows are shown, of how many.
function note(shown, counts, one, many) {
  if (counts.matching < counts.total) {
    return shown < counts.matching
      ? 'The first ' + count(shown) + ' of ' + count(counts.matching) + ' that match the filter, of ' + plural(counts.total, one, many) + '.'
      : count(counts.matching) + ' of ' + plural(counts.total, one, many) + ' match the filter.'
  }
  return shown < counts.total ? 'The first ' + count(shown) + ' of ' + plural(counts.total, one, many) + '; use the filter to find others.' : plural(counts.total, one, many) + '.'
}

function showChatflows(s) {
  const every = s.chatflow_counts.every
  put($('chatflows-note'), note(s.chatflows.length, s.chatflow_counts, 'chatflow', 'chatflows') +
    (every ? ' Keys of “*” open every chatflow.' : ' Chatflows that are not listed are closed.'))
  const rows = s.chatflows.map((c) => ({ ...c, every }))
  if (s.unlisted.requests > 0) rows.push({ ...s.unlisted, unlisted: true })
  sync($('chatflows').tBodies[0], rows, (c) => (c.unlisted ? 'unlisted' : 'id ' + c.id), fillChatflow,
    s.chatflow_counts.total ? 'No chatflow matches the filter by ID, name or key ID.' : 'The key file lists no chatflows, so all are closed.', 7)
}

function fillChatflow(cells, c) {
  if (c.unlisted) lines(cells[0], 'not listed', 'chatflows that the key file does not list, other paths, malformed requests')
  else if (c.id === '*') lines(cells[0], c.name ? visible(c.name) : 'every chatflow', '* (requests for chatflows that are not listed)')
  else lines(cells[0], visible(c.name || c.id), c.name ? visible(c.id) : '')
  lines(cells[1], access(c))
  color(cells[1].children[0], c.public ? 'warn' : '')
  put(cells[2], count(c.requests))
  lines(cells[3], count(sum(c.refused)), listCodes(c.refused))
  put(cells[4], count(c.failed))
  color(cells[4], c.failed ? 'bad' : '')
  put(cells[5], count(c.streams))
  lines(cells[6], c.last_call ? ago(c.last_call) : 'never', c.last_call ? stamp(c.last_call) : '')
}

function access(c) {
  if (c.unlisted) return 'nobody, except on public routes'
  const who = c.keys.map(visible)
  if (c.key_count > c.keys.length) who.push(count(c.key_count - c.keys.length) + ' more keys')
  if (c.public) return 'everyone (public)' + (who.length ? '; keys: ' + who.join(', ') : '')
  if (c.every && c.id !== '*') who.push('keys of *')
  return who.join(', ')
}

const states = {
  valid: ['valid', 'good'], disabled: ['disabled', ''], expired: ['expired', 'bad'], not_yet_valid: ['not valid yet', 'warn'], unknown: ['no secret', 'bad'],
}

function showKeys(s) {
  put($('keys-note'), note(s.keys.length, s.key_counts, 'key', 'keys') + ' “Last used” is known since the gate started.')
  sync($('keys').tBodies[0], s.keys, (k) => k.id, fillKey, s.key_counts.total ? 'No key ID matches the filter.' : 'The key file has no keys; `flowlatch key new` makes one.', 6)
}

function fillKey(cells, k) {
  lines(cells[0], visible(k.id))
  let [word, kind] = states[k.status] || [visible(k.status), '']
  const soon = k.status === 'valid' && k.not_after && Date.parse(k.not_after) - now() < 14 * 86400e3
  if (soon) { word = 'expires soon'; kind = 'warn' }
  lines(cells[1], word, k.status === 'not_yet_valid' && k.not_before ? 'from ' + stamp(k.not_before) : '')
  color(cells[1].children[0], kind)
  lines(cells[2], k.last_used ? ago(k.last_used) : 'not since the start', k.last_used ? stamp(k.last_used) : '')
  lines(cells[3], k.not_after ? within(k.not_after) : 'never', k.not_after ? stamp(k.not_after) : '')
  put(cells[4], count(k.secrets))
  put(cells[5], count(k.generation))
}

const results = { success: ['applied', 'good'], unchanged: ['unchanged', ''], failure: ['invalid', 'bad'] }

function fillReload(cells, r) {
  lines(cells[0], ago(r.time), stamp(r.time))
  const [word, kind] = results[r.result] || [visible(r.result), '']
  lines(cells[1], word)
  color(cells[1].children[0], kind)
  put(cells[2], count(r.generation))
  const changes = [['keys added', r.keys_added], ['keys changed', r.keys_changed], ['keys removed', r.keys_removed],
    ['chatflows added', r.chatflows_added], ['chatflows changed', r.chatflows_changed], ['chatflows removed', r.chatflows_removed]]
    .filter(([, ids]) => ids).map(([what, ids]) => what + ': ' + ids.map(visible).join(', '))
  const same = r.result === 'success' ? 'only comments or layout' : 'none'
  put(cells[3], r.error ? visible(r.error) : changes.join('; ') || same)
}

function showSettings(s) {
  const t = s.settings
  const rows = [
    ['Key file', t.keys],
    ['TLS with clients', (s.certificates || []).some((c) => c.certificate === 'server') ? 'on' : 'off: clients connect over plain HTTP'],
    ...(s.certificates || []).map((c) => [upper(certificate(c)), (c.names.join(', ') || 'without a name') + ', ' + (Date.parse(c.not_after) < now() ? 'expired ' : 'expires ') + until(c.not_after)]),
    ['Exposed route groups', t.expose.join(', ')],
    ['Discovery', t.discovery === 'open' ? 'open: clients without a key can ask whether a listed chatflow streams' : 'keyed'],
    ['Credential for the upstream', t.upstream_authorization],
    ['Public URL', t.public_url || 'none: the upstream sees its own host'],
    ['Trusted proxies', t.trusted_proxies.join(', ') || 'none: X-Forwarded-For is ignored'],
    ['CORS origins', t.cors_origins.join(', ') || 'none: CORS headers are left to the upstream'],
    ['Failure limit per address', t.failure_limit === 'off' ? 'off: keys can be guessed without limit' : t.failure_limit],
    ['Streams of a revoked key', t.cut_streams_on_revoke ? 'are cut' : 'may finish'],
    ['Largest request body', count(t.max_body) + ' bytes; ' + count(t.max_checked_body) + ' if it is checked'],
  ]
  const list = $('settings')
  while (list.children.length > 2 * rows.length) list.lastChild.remove()
  while (list.children.length < 2 * rows.length) list.append(make(list.children.length % 2 ? 'dd' : 'dt'))
  rows.forEach(([name, value], i) => {
    put(list.children[2 * i], name)
    put(list.children[2 * i + 1], visible(value))
  })
}

// --- polling

let last = null // response
let updatedAt = 0
let lostSince = 0
let timer = 0
let polling = null

async function poll() {
  clearTimeout(timer)
  if (document.hidden) return // polls again when it is visible
  if (polling) polling.abort()
  const mine = polling = new AbortController()
  const abort = setTimeout(() => mine.abort(), timeout)
  const begin = Date.now()
  const query = new URLSearchParams({ limit, filter: $('filter').value, keys_by: $('keys-by').value, chatflows_by: $('chatflows-by').value })
  try {
    const res = await fetch('status?' + query, { signal: mine.signal, credentials: 'omit' })
    if (!res.ok) throw new Error('status ' + res.status)
    const s = await res.json()
    if (polling !== mine) return
    ahead = Date.parse(s.now) - Date.now()
    last = s
    updatedAt = Date.now()
    lostSince = 0
    show(s)
  } catch (err) {
    if (polling !== mine) return // another request took its place
    lostSince = lostSince || begin
  } finally {
    clearTimeout(abort)
    if (polling === mine) {
      polling = null
      showConnection()
      timer = setTimeout(poll, Math.max(interval, 20 * (Date.now() - begin))) // rarely if the gate takes long
    }
  }
}

function showConnection() {
  const lost = lostSince > 0
  $('connection').classList.toggle('lost', lost)
  document.body.classList.toggle('lost-data', lost && last !== null)
  put($('connection'), lost
    ? 'No response from the gate since ' + clock(lostSince) + ' (' + span(Date.now() - lostSince) + ')' + (last ? '; the data is from ' + clock(updatedAt) : '')
    : last ? 'Live, updated ' + clock(updatedAt) : 'Loading …')
  if (lost) put($('announce'), 'Connection to the gate lost')
}

let typing = 0
$('filter').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(poll, 250) })
$('keys-by').addEventListener('change', poll)
$('chatflows-by').addEventListener('change', poll)
document.addEventListener('visibilitychange', poll)
setInterval(() => { if (lostSince && !document.hidden) showConnection() }, 1000)
poll()
