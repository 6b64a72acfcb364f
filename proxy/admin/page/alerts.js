// Alerts: what somebody should look at, the worst first. Strangers who are refused are no reason for an alert.

import { $, ago, count, listCodes, make, now, plural, put, since, stamp, sum, unserved, until, visible, visibleLines, within } from './text.js'

const soon = 14 * 86400e3 // ms

export function showAlerts(s) {
  const alerts = [...gateAlerts(s), ...(s.certificates || []).flatMap(certificateAlerts), ...requestAlerts(s), ...upstreamAlerts(s), ...keyAlerts(s)]
  alerts.sort((a, b) => (b.kind === 'bad') - (a.kind === 'bad'))
  if (alerts.length === 0) {
    alerts.push({ kind: 'good', title: 'No alerts', text: s.upstream.up === null ? 'The key file is valid. The upstream has not been tried yet.' : 'The key file is valid, the upstream is up, and no key was refused in the last hour.' })
  }
  const list = $('alerts')
  while (list.children.length > alerts.length) list.lastChild.remove()
  while (list.children.length < alerts.length) {
    const li = make('li')
    li.append(make('strong'), make('span'), make('pre'))
    li.lastChild.tabIndex = 0 // it may scroll
    list.append(li)
  }
  alerts.forEach((a, i) => {
    const li = list.children[i]
    if (li.className !== 'alert ' + a.kind) li.className = 'alert ' + a.kind
    put(li.children[0], a.title)
    put(li.children[1], a.text || '')
    put(li.children[2], visibleLines(a.detail || ''))
    li.children[2].hidden = !a.detail
  })
  // Screen readers announce only what is new and matters.
  put($('announce'), alerts.filter((a) => a.kind === 'bad').map((a) => a.title).join('. '))
  put(document.querySelector('title'), (s.stale ? 'Key file invalid · ' : s.upstream.up === false ? 'Upstream down · ' : '') + 'flowlatch status')
}

function gateAlerts(s) {
  const alerts = []
  if (s.draining) alerts.push({ kind: 'warn', title: 'Shutting down', text: 'New requests get 503; ' + plural(s.open_requests, 'open request', 'open requests') + ' may finish.' })
  if (s.limits_degraded) alerts.push({ kind: 'warn', title: 'Redis does not answer: limits hold by --limits-fallback', text: 'What other gates count is not known here. The log says why; the gate goes back by itself.' })
  if (s.stale) {
    const fault = s.recent_reloads.find((r) => r.result === 'failure')
    alerts.push({
      kind: 'bad', title: 'Key file invalid: the last good keys stay active', detail: s.fault,
      text: (fault ? 'Found ' + ago(fault.time) + '. ' : '') + 'Generation ' + count(s.generation) + ' stays active, and keys revoked since still work.',
    })
  }
  if (s.upstream.up === false) alerts.push({ kind: 'bad', title: 'The upstream cannot be reached', text: 'Down for ' + since(s.upstream.since) + '; requests get 502 or 504. ' + visible(s.upstream.url), detail: s.upstream.error })
  return alerts
}

const certificates = {
  server: 'server certificate', client_ca: 'CAs of client certificates', upstream_client: 'client certificate for the upstream', upstream_ca: 'CAs of the upstream',
}
export const certificateName = (c) => certificates[c.certificate] || visible(c.certificate)

function certificateAlerts(c) {
  const alerts = []
  const left = Date.parse(c.not_after) - now()
  const cas = c.certificate.endsWith('_ca') // those that have not expired stay in use
  const expiry = (left < 0 ? 'expired ' : 'expires ') + until(c.not_after)
  if (c.stale) alerts.push({ kind: 'bad', title: 'Invalid files: ' + certificateName(c), text: 'The last good version stays in use; it ' + expiry + '.', detail: c.fault })
  if (left < 0) alerts.push({ kind: 'bad', title: 'Expired: ' + certificateName(c), text: cas ? 'The first CA ' + expiry + '; certificates that it issued are refused.' : 'It ' + expiry + '; peers that verify it refuse to connect.' })
  else if (left < soon) alerts.push({ kind: 'warn', title: 'Expires soon: ' + certificateName(c), text: (cas ? 'The first CA ' : 'It ') + expiry + '.' })
  return alerts
}

function requestAlerts(s) {
  const alerts = []
  const time = 'in the last ' + (s.recent.seconds >= 60 ? 'minute' : s.recent.seconds < 2 ? 'second' : s.recent.seconds + ' seconds')
  const own = unserved(s.recent.refused)
  if (sum(own) > 0) alerts.push({ kind: 'warn', title: plural(sum(own), 'request', 'requests') + ' could not be served ' + time, text: listCodes(own) })
  const failed = s.recent.failed - sum(own)
  if (failed > 0) alerts.push({ kind: 'warn', title: plural(failed, 'response', 'responses') + ' with a status of 500 or above from the upstream ' + time, text: 'The chatflows below say whose; the log has a line for each.' })
  return alerts
}

// upstreamAlerts are about chatflows for which the upstream wants something of its own, such as a key that is still in
// Flowise.
function upstreamAlerts(s) {
  const list = s.upstream_refusals
  if (list.length === 0) return []
  const name = (r) => visible(r.chatflow || 'chatflows that are not listed')
  const line = (r) => name(r) + ', ' + r.route + ': ' + r.status + ', ' + ago(r.time) + '; ' + visible(r.hint) + '.'
  const whose = list.length === 1 ? name(list[0]) : count(list.length) + ' chatflows'
  return [{ kind: 'warn', title: 'The upstream refuses requests for ' + whose + ' that the gate allowed', text: list.map(line).join('\n') }]
}

function keyAlerts(s) {
  const alerts = []
  const refused = s.refused_keys.map((k) => ({ ...k, why: visible(k.reason || k.code), times: plural(k.count, 'request', 'requests') + ', the last ' + ago(k.last) + ' from ' + k.client }))
  if (refused.length === 1) alerts.push({ kind: 'warn', title: 'Key ' + visible(refused[0].key) + ' was refused: ' + refused[0].why, text: refused[0].times + '. ' + visible(refused[0].code) })
  else if (refused.length > 1) alerts.push({ kind: 'warn', title: 'Keys were refused in the last hour', text: refused.map((k) => visible(k.key) + ': ' + k.why + '; ' + k.times).join('\n') })
  const expiring = s.expiring.map((k) => visible(k.id) + ' ' + within(k.not_after) + ' (' + stamp(k.not_after) + ')')
  const more = s.key_counts.expiring - expiring.length
  if (s.key_counts.expiring === 1) alerts.push({ kind: 'warn', title: 'Key ' + visible(s.expiring[0].id) + ' expires ' + within(s.expiring[0].not_after), text: stamp(s.expiring[0].not_after) + '. If it is not meant to, make its next secret now: flowlatch key rotate' })
  else if (s.key_counts.expiring > 1) alerts.push({ kind: 'warn', title: count(s.key_counts.expiring) + ' keys expire within 14 days', text: expiring.join('\n') + (more > 0 ? '\nand ' + count(more) + ' more' : '') })
  if (s.warnings.length > 0) alerts.push({ kind: 'warn', title: plural(s.warnings.length, 'warning', 'warnings') + ' about the key file', detail: s.warnings.join('\n') })
  if (s.key_counts.total === 0) alerts.push({ kind: 'warn', title: 'The key file has no keys', text: 'Only public chatflows and routes are open. ' + (s.console ? 'Make a key under Keys and chatflows.' : '`flowlatch key new` makes a key.') })
  return alerts
}
