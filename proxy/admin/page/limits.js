// What a key has used of its limits: a text and a small bar for each.

import { attr, count, make, put } from './text.js'

export function showLimits(box, limits) {
  while (box.children.length > limits.length) box.lastChild.remove()
  while (box.children.length < limits.length) {
    const one = make('div', 'limit sub')
    one.append(make('bdi'), make('meter'))
    box.append(one)
  }
  limits.forEach((l, i) => {
    const [text, bar] = box.children[i].children
    put(text, sentence(l))
    attr(text, 'title', l.limit)
    attr(bar, 'aria-label', sentence(l))
    attr(bar, 'max', String(Math.max(l.of, 1)))
    attr(bar, 'low', String(l.of * 0.75)) // from there on the gate tells clients what is left
    attr(bar, 'high', String(l.of - 0.5)) // used up
    attr(bar, 'optimum', '0')
    attr(bar, 'value', String(l.of > 0 ? l.used : 1))
  })
}

const times = { day: 'today', week: 'this week', month: 'this month' }

// sentence says what is used, such as "412 of 10,000 requests this month".
function sentence(l) {
  const [field, value] = l.limit.split(': ')
  const amount = field === 'bytes' ? bytes : count
  const what = { concurrent: 'at once', requests: 'requests ', stream_seconds: 'stream seconds ', bytes: '' }[field]
  return amount(l.used) + ' of ' + amount(l.of) + ' ' + what + (times[value.split('/')[1]] || '') + (l.enforced ? '' : ', not enforced')
}

function bytes(n) {
  let unit = 0
  for (; n >= 1024 && unit < 4; unit++) n /= 1024
  return (unit === 0 ? count(n) : n.toFixed(n < 10 ? 1 : 0)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]
}
