// Tables: the row of an item stays the same element, so that nothing jumps and what is selected stays selected.

import { attr, color, make, put, visible } from './text.js'

// sync makes a table have a row for each item of a list. fill gets the cells of a row and its item.
export function sync(table, items, keyOf, fill, empty) {
  const body = table.tBodies[0]
  const headers = [...table.tHead.rows[0].cells]
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]))
  if (items.length === 0) items = [null]
  items.forEach((item, i) => {
    const key = item === null ? 'empty' : 'row ' + keyOf(item)
    const row = rows.get(key) || (item === null ? emptyRow(headers) : newRow(headers))
    row.dataset.key = key
    rows.delete(key)
    if (item === null) put(row.cells[0], empty)
    else fill(row.cells, item)
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null)
  })
  for (const row of rows.values()) row.remove()
}

function newRow(headers) {
  const row = make('tr')
  row.setAttribute('role', 'row')
  headers.forEach((header, i) => {
    const cell = make(i === 0 ? 'th' : 'td', header.classList.contains('num') ? 'num' : '')
    cell.setAttribute('role', i === 0 ? 'rowheader' : 'cell')
    if (i === 0) cell.setAttribute('scope', 'row')
    else cell.dataset.label = header.textContent
    row.append(cell)
  })
  return row
}

function emptyRow(headers) {
  const row = make('tr')
  row.setAttribute('role', 'row')
  const cell = make('td', 'muted')
  cell.setAttribute('role', 'cell')
  cell.colSpan = headers.length
  row.append(cell)
  return row
}

// parts returns the two parts of a cell: its main text, and something below it, such as a link, limits or a chart.
export function parts(cell) {
  if (!cell.firstChild) cell.append(make('div'), make('div'))
  return cell.children
}

// showChange shows a link to the console's page that changes something, if address is not empty.
export function showChange(box, address, label) {
  if (!box.firstChild && address) box.append(make('a', 'sub', 'Change'))
  if (!address) return box.replaceChildren()
  attr(box.firstChild, 'href', address)
  attr(box.firstChild, 'aria-label', label)
}

// lines fills a cell with a main text and smaller ones below it.
export function lines(cell, main, ...subs) {
  while (cell.children.length < 1 + subs.length) cell.append(make('bdi', cell.firstChild ? 'sub clamp' : 'clamp'))
  while (cell.children.length > 1 + subs.length) cell.lastChild.remove()
  put(cell.children[0], main)
  attr(cell.children[0], 'title', main)
  subs.forEach((sub, i) => {
    put(cell.children[i + 1], sub)
    attr(cell.children[i + 1], 'title', sub)
    cell.children[i + 1].hidden = sub === ''
  })
}

// linesIn is like lines, with a color for the main text.
export function linesIn(kind, cell, main, ...subs) {
  lines(cell, main, ...subs)
  color(cell.children[0], kind)
}

// idLine fills a cell with an ID that stays on one line and can be copied, below a name if there is one.
export function idLine(cell, name, id) {
  if (!cell.firstChild) {
    const line = make('span', 'id')
    const button = make('button', 'copy', 'Copy')
    button.type = 'button'
    button.addEventListener('click', () => copy(button, line.firstChild))
    line.append(make('bdi'), button)
    cell.append(make('bdi', 'clamp'), line)
  }
  const [main, line] = cell.children
  put(main, name)
  attr(main, 'title', name || visible(id))
  main.hidden = !name
  line.classList.toggle('sub', Boolean(name))
  put(line.firstChild, visible(id))
  attr(line.firstChild, 'title', visible(id))
  attr(line.lastChild, 'aria-label', 'Copy ' + visible(id))
}

// copy copies a text. If the browser does not allow that, because the page came over HTTP from another machine, it
// selects the text.
export async function copy(button, node) {
  let done = 'Copied'
  try {
    await navigator.clipboard.writeText(node.textContent)
  } catch {
    getSelection().selectAllChildren(node)
    done = 'Press Ctrl+C'
  }
  put(button, done)
  setTimeout(() => put(button, 'Copy'), 2000)
}

// sortable lets the headers of a table choose its order. choose gets the name of an order, with - before it if
// reversed.
export function sortable(table, choose) {
  for (const button of table.tHead.querySelectorAll('button')) {
    button.addEventListener('click', () => choose(table.dataset.order === button.value ? '-' + button.value : button.value))
  }
}

// showOrder marks the header by which a table is ordered.
export function showOrder(table, order) {
  table.dataset.order = order
  for (const button of table.tHead.querySelectorAll('button')) {
    const th = button.parentNode
    const reversed = order === '-' + button.value
    if (order !== button.value && !reversed) th.removeAttribute('aria-sort')
    else attr(th, 'aria-sort', (th.dataset.first === 'ascending') === reversed ? 'descending' : 'ascending')
  }
}
