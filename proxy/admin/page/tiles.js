// Tiles: the state of the gate at a glance.

import { $, ago, color, count, listCodes, plural, put, since, sum, turnedAway, visible } from './text.js'

function tile(id, main, more, kind) {
  put($(id), main)
  put($(id + '-more'), more)
  color($(id), kind)
}

export function showTiles(s) {
  const up = s.upstream.up
  tile('t-upstream', up === null ? 'not tried yet' : up ? 'up' : 'down', visible(s.upstream.url) + (s.upstream.since ? ', for ' + since(s.upstream.since) : ''), up === null ? '' : up ? 'good' : 'bad')
  tile('t-file', s.stale ? 'invalid' : 'valid', 'generation ' + count(s.generation) + ', last reload ' + (s.last_reload.result ? ago(s.last_reload.time) : 'never'), s.stale ? 'bad' : 'good')
  const time = s.recent.seconds >= 60 ? 'last minute' : 'last ' + s.recent.seconds + ' s'
  put($('t-recent-title'), 'Requests, ' + time)
  put($('t-refused-title'), 'Refused, ' + time)
  tile('t-recent', count(s.recent.requests), count(s.totals.requests) + ' since the start')
  const refused = turnedAway(s.recent.refused)
  tile('t-refused', count(sum(refused)), listCodes(refused) || count(sum(turnedAway(s.totals.refused))) + ' since the start')
  tile('t-open', count(s.open_requests), plural(s.totals.streams, 'stream', 'streams'))
  const k = s.key_counts
  const parts = [[k.expiring, k.expiring === 1 ? 'expires soon' : 'expire soon'], [k.expired, 'expired'], [k.disabled, 'disabled'], [k.not_yet_valid, 'not valid yet'], [k.honey, 'honey']]
  tile('t-keys', count(k.valid) + ' valid', parts.filter(([n]) => n > 0).map(([n, word]) => count(n) + ' ' + word).join(', ') || 'of ' + count(k.total))
}
