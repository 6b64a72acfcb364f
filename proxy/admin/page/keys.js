// The table of keys.

import { $, ago, count, listCodes, now, plural, put, stamp, sum, turnedAway, visible, within } from './text.js'
import { hourOfKey, showHour } from './hours.js'
import { showLimits } from './limits.js'
import { lines, linesIn, parts, showChange, sync } from './table.js'
import { note } from './chatflows.js'

export function showKeys(s) {
  put($('keys-note'), note(s.keys.length, s.key_counts, 'key', 'keys') + ' Counts and last uses are since the gate started.')
  const keys = s.keys.map((k) => ({ ...k, change: s.console ? 'console/key?id=' + encodeURIComponent(k.id) : '' }))
  sync($('keys'), keys, (k) => k.id, fill, s.key_counts.total ? 'No key ID matches the filter.' : 'The key file has no keys' + (s.console ? '.' : '; `flowlatch key new` makes one.'))
}

const states = { valid: ['valid', 'good'], disabled: ['disabled', 'muted'], expired: ['expired', 'muted'], not_yet_valid: ['not valid yet', 'muted'], unknown: ['no secret', 'warn'], honey: ['honey', 'muted'] }

// state returns the word for a key's state and its color: amber if somebody should do something about it.
function state(k) {
  const [word, kind] = states[k.status] || [visible(k.status), '']
  if (k.status === 'valid' && k.not_after && Date.parse(k.not_after) - now() < 14 * 86400e3) return ['expires soon', 'warn']
  if (k.status !== 'valid' && k.last_refused && now() - Date.parse(k.last_refused) < 86400e3) return [word + ', still calls', 'warn']
  return [word, kind]
}

function fill(cells, k) {
  const [main, change] = parts(cells[0])
  lines(main, visible(k.id), [k.owner ? visible(k.owner) : '', secrets(k)].filter(Boolean).join('; '))
  showChange(change, k.change, 'Change key ' + visible(k.id))
  const [word, kind] = state(k)
  const [status, limits] = parts(cells[1])
  linesIn(kind, status, word, k.status === 'not_yet_valid' && k.not_before ? 'from ' + stamp(k.not_before) : '')
  showLimits(limits, k.limits || [])
  const [requests, hour] = parts(cells[2])
  put(requests, count(k.requests || 0))
  showHour(hour, hourOfKey(k.id))
  lines(cells[3], count(sum(turnedAway(k.refused))), listCodes(turnedAway(k.refused)))
  lines(cells[4], k.last_used ? ago(k.last_used) : 'never', k.last_used ? stamp(k.last_used) : '')
  lines(cells[5], k.last_refused ? ago(k.last_refused) : 'never', k.last_refused ? stamp(k.last_refused) : '')
  lines(cells[6], k.not_after ? within(k.not_after) : 'never', k.not_after ? stamp(k.not_after) : '')
}

// secrets says since which generation of the key file the key is unchanged and, if it has several secrets, when each
// was last used.
function secrets(k) {
  const since = 'unchanged since generation ' + count(k.generation)
  if (k.secrets < 2) return since
  const uses = (k.secret_use || []).map((u) => visible(u.fingerprint) + ' ' + (u.last_used ? 'used ' + ago(u.last_used) : 'not used'))
  return plural(k.secrets, 'secret', 'secrets') + (uses.length ? ': ' + uses.join(', ') : '') + '; ' + since
}
