// The table of recent refusals.

import { $, ago, attr, clock, count, short, visible } from './text.js'
import { idLine, lines, linesIn, sync } from './table.js'

export function showRefusals(s, filtered) {
  sync($('refusals'), s.refusals, (r) => r.request_id + r.time, fill, filtered ? 'No recent refusal matches the filter.' : 'No request was refused since the start.')
}

function fill(cells, r) {
  lines(cells[0], clock(Date.parse(r.time)), ago(r.time))
  lines(cells[1], count(r.status) + ' ' + visible(r.code), visible(r.reason || ''))
  lines(cells[2], r.method + (r.route ? ' ' + visible(r.route) : ''))
  lines(cells[3], short(visible(r.chatflow || '–')))
  attr(cells[3].firstChild, 'title', visible(r.chatflow || ''))
  linesIn(r.key ? 'warn' : 'muted', cells[4], visible(r.key || '–'))
  lines(cells[5], visible(r.client))
  idLine(cells[6], '', r.request_id)
}
