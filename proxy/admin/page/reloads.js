// The table of reloads, and the settings.

import { $, ago, count, make, now, put, putIDs, stamp, until, upper, visible } from './text.js'
import { lines, linesIn, sync } from './table.js'
import { certificateName } from './alerts.js'

const results = { success: ['applied', 'good'], unchanged: ['unchanged', ''], failure: ['invalid', 'bad'] }

export function showReloads(s) {
  sync($('reloads'), s.recent_reloads, (r) => r.time, fillReload, 'The key file has not been read yet.')
}

function fillReload(cells, r) {
  lines(cells[0], ago(r.time), stamp(r.time))
  const [word, kind] = results[r.result] || [visible(r.result), '']
  linesIn(kind, cells[1], word)
  put(cells[2], count(r.generation))
  const changes = [['keys added', r.keys_added], ['keys changed', r.keys_changed], ['keys removed', r.keys_removed],
    ['chatflows added', r.chatflows_added], ['chatflows changed', r.chatflows_changed], ['chatflows removed', r.chatflows_removed]]
    .filter(([, ids]) => ids).map(([what, ids]) => what + ': ' + ids.map(visible).join(', '))
  const same = r.result === 'success' ? 'only comments or layout' : 'none'
  putIDs(cells[3], r.error ? visible(r.error) : changes.join('; ') || same)
}

export function showSettings(s) {
  const t = s.settings
  const rows = [
    ['Key file', t.keys],
    ['TLS with clients', (s.certificates || []).some((c) => c.certificate === 'server') ? 'on' : 'off: clients connect over plain HTTP'],
    ...(s.certificates || []).map((c) => [upper(certificateName(c)), (c.names.join(', ') || 'without a name') + ', ' + (Date.parse(c.not_after) < now() ? 'expired ' : 'expires ') + until(c.not_after)]),
    ['Exposed route groups', t.expose.join(', ')],
    ['Discovery', t.discovery === 'open' ? 'open: clients without a key can ask whether a listed chatflow streams' : 'keyed'],
    ['Credential for the upstream', t.upstream_authorization],
    ['Public URL', t.public_url || 'none: the upstream sees its own host'],
    ['Path prefix', t.path_prefix || 'none'],
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
