// Buttons that copy, and a filter of long lists to pick from. Without this, the pages work as well.

import { copy } from '../status/table.js'

for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = false
  button.addEventListener('click', () => copy(button, button.previousElementSibling))
}

for (const box of document.querySelectorAll('.choices')) {
  const labels = [...box.children]
  if (labels.length < 12) continue
  const filter = document.createElement('input')
  filter.type = 'search'
  filter.placeholder = 'filter'
  filter.setAttribute('aria-label', 'Filter of the chatflows to pick')
  filter.addEventListener('input', () => {
    const text = filter.value.trim().toLowerCase()
    for (const label of labels) label.hidden = !label.querySelector('input').checked && !label.textContent.toLowerCase().includes(text)
  })
  filter.addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault() }) // which would send the form
  box.before(filter)
}
