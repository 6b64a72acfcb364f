// Buttons that copy, and a filter for long lists to pick from. The pages also work without this script.

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
  filter.addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault() }) // Enter would send the form
  box.before(filter)
}
