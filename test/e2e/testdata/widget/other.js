// Tries to use the chatflow from a page of another origin: with a stolen token, and with the cookie of the visitor's browser.
const { gate, flow, token } = await (await fetch('/target')).json()
const url = `${gate}/api/v1/prediction/${flow}`, json = { 'Content-Type': 'application/json' }
const question = JSON.stringify({ question: 'stolen1' })
const statuses = []
const attempt = (init) => fetch(url, { method: 'POST', body: question, ...init }).then((r) => statuses.push(r.status), () => statuses.push('blocked'))

await attempt({ headers: { ...json, Authorization: 'Bearer ' + token } })
await attempt({ headers: json, credentials: 'include' })
await attempt({ headers: { 'Content-Type': 'text/plain' }, credentials: 'include', mode: 'no-cors' })
navigator.sendBeacon(url, question)
for (const type of ['img', 'script', 'iframe']) {
  await new Promise((resolve) => {
    const element = Object.assign(document.createElement(type), { src: `${gate}/api/v1/public-chatbotConfig/${flow}`, onload: resolve, onerror: resolve })
    document.body.append(element)
  })
}
const frame = Object.assign(document.createElement('iframe'), { name: 'into' })
document.body.append(frame)
const form = Object.assign(document.createElement('form'), { method: 'post', action: url, target: 'into', enctype: 'text/plain' })
form.append(Object.assign(document.createElement('input'), { name: '{"question":"stolen1","x":"', value: '"}' }))
document.body.append(form)
form.submit()
await new Promise((resolve) => { frame.onload = resolve })
parent.postMessage(statuses.join(' '), '*')
