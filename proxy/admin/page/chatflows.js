// The table of chatflows.

import { $, ago, count, listCodes, plural, put, stamp, sum, turnedAway, visible } from './text.js'
import { hourOfChatflow, showHour } from './hours.js'
import { idLine, lines, parts, showChange, sync } from './table.js'

// note says how many rows are shown, of how many.
export function note(shown, counts, one, many) {
  if (counts.matching < counts.total) {
    return shown < counts.matching
      ? 'The first ' + count(shown) + ' of ' + count(counts.matching) + ' that match the filter, of ' + plural(counts.total, one, many) + '.'
      : count(counts.matching) + ' of ' + plural(counts.total, one, many) + (counts.matching === 1 ? ' matches' : ' match') + ' the filter.'
  }
  return shown < counts.total ? 'The first ' + count(shown) + ' of ' + plural(counts.total, one, many) + '; use the filter to find others.' : plural(counts.total, one, many) + '.'
}

export function showChatflows(s) {
  const every = s.chatflow_counts.every_open_to > 0
  put($('chatflows-note'), note(s.chatflows.length, s.chatflow_counts, 'chatflow', 'chatflows') + (every ? ' Keys of “*” open every chatflow.' : ' Chatflows that are not listed are closed.'))
  const rows = s.chatflows.map((c) => ({ ...c, every, change: s.console ? 'console/chatflow?id=' + encodeURIComponent(c.id) : '' }))
  if (s.unlisted.requests > 0) rows.push({ ...s.unlisted, unlisted: true })
  sync($('chatflows'), rows, (c) => (c.unlisted ? 'unlisted' : 'id ' + c.id), fill,
    s.chatflow_counts.total ? 'No chatflow matches the filter by ID, name or key ID.' : 'The key file lists no chatflows, so all are closed.')
}

function fill(cells, c) {
  const [main, change] = parts(cells[0])
  if (c.unlisted) lines(main, 'not listed', 'chatflows that the key file does not list, other paths, malformed requests')
  else if (c.id === '*') lines(main, c.name ? visible(c.name) : 'every chatflow', '* (requests for chatflows that are not listed)')
  else idLine(main, c.name ? visible(c.name) : '', c.id)
  if (!c.unlisted) showChange(change, c.change, 'Change chatflow ' + visible(c.name || c.id))
  lines(cells[1], access(c))
  const [requests, hour] = parts(cells[2])
  put(requests, count(c.requests))
  showHour(hour, c.unlisted ? null : hourOfChatflow(c.id))
  lines(cells[3], count(sum(turnedAway(c.refused))), listCodes(turnedAway(c.refused)))
  put(cells[4], count(c.failed))
  put(cells[5], count(c.streams))
  lines(cells[6], c.last_call ? ago(c.last_call) : 'never', c.last_call ? stamp(c.last_call) : '')
}

// access says who may call a chatflow now.
function access(c) {
  if (c.unlisted) return 'nobody, except on public routes'
  const who = c.open_to.map(visible)
  if (c.open_to_count > who.length) who.push(count(c.open_to_count - who.length) + ' more keys')
  if (c.public) return 'everyone (public)' + (who.length ? '; keys: ' + who.join(', ') : '')
  if (c.every && c.id !== '*') who.push('keys\u00a0of\u00a0*')
  return who.join(', ') || 'nobody: none of its keys is valid now'
}
