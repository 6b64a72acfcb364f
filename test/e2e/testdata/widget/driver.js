// Uses Flowise's chat widget as a visitor does, and reports what it sent and what it showed. One page is one scenario: a
// version of the widget and a way to get in. When it is over, the page is loaded again for the next.

const calls = [] // what was sent since the last step began

const send = window.fetch
window.fetch = async (url, init = {}) => {
  const path = String(url.url ?? url)
  const call = { method: init.method ?? 'GET', path: path.replace(/^https?:\/\/[^/]+(\/chat)?\/api\/v1\//, ''), status: 0 }
  const headers = new Headers(init.headers)
  call.key = headers.has('Authorization')
  calls.push(call)
  try {
    const response = await send(url, init)
    call.status = response.status
    return response
  } catch (e) {
    call.status = -1 // the browser had no leave to send it, or to show the response
    throw e
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// until returns what find returns, once that is something.
async function until(what, find, seconds = 10) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(50)) {
    const found = find()
    if (found) return found
  }
  throw new Error('there was no ' + what)
}

const root = () => document.querySelector('flowise-fullchatbot')?.shadowRoot
const one = (selector) => root().querySelector(selector)
const called = (method, begins) => until(`response to ${method} ${begins}`, () => calls.find((c) => c.method === method && c.path.startsWith(begins) && c.status))
const shown = () => [...root().querySelectorAll('.chatbot-host-bubble')].map((e) => e.textContent.trim())
const button = (text) => [...root().querySelectorAll('button')].find((b) => b.title === text || b.textContent.trim() === text)

// startByScript puts the gate's script on the page, which starts the widget.
function startByScript(scenario, flow) {
  const script = document.createElement('script')
  Object.assign(script.dataset, scenario.script, { chatflow: flow, widget: `/flowise-embed/${scenario.widget}.js`, into: 'body' })
  script.src = scenario.gate + '/-/widget.js'
  document.body.append(script)
}

// open puts a new widget on the page, with a new conversation unless the old one is to be kept.
async function open(widget, scenario, flow, keep) {
  widget.destroy()
  document.querySelector('flowise-fullchatbot')?.remove()
  if (!keep) localStorage.removeItem(flow + '_EXTERNAL')
  if (scenario.script) {
    startByScript(scenario, flow)
  } else {
    document.body.append(document.createElement('flowise-fullchatbot'))
    const options = { chatflowid: flow, apiHost: scenario.gate }
    if (scenario.key) {
      options.onRequest = async (request) => { request.headers = { ...request.headers, Authorization: 'Bearer ' + scenario.key } }
    }
    widget.initFull(options)
  }
  await until('widget', () => root()?.querySelector('textarea, form'))
  await called('GET', 'public-chatbotConfig/')
  await pause(300) // the widget sets itself up from that
}

function type(input, text) {
  input.value = text
  input.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true }))
}

// ask asks a question and returns what is shown after it.
async function ask(question, enough) {
  const before = shown().length
  type(await until('input', () => one('textarea')), question)
  await pause(100)
  one('textarea').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, composed: true }))
  return await until('response in the chat', () => {
    const now = shown()
    const failed = calls.some((c) => c.method === 'POST' && (c.status < 0 || c.status >= 400))
    return now.length > before && now.at(-1) && (failed || enough(now.at(-1))) && now.at(-1)
  }).catch((e) => { throw new Error(e.message + '; shown: ' + JSON.stringify(shown())) })
}

function attach(name, mime, bytes) {
  const files = new DataTransfer()
  files.items.add(new File([bytes], name, { type: mime }))
  const inputs = [...root().querySelectorAll('input[type=file]')]
  const input = inputs.find((i) => (i.accept.includes('image') || inputs.length === 1) === mime.startsWith('image')) ?? inputs.at(-1)
  input.files = files.files
  input.dispatchEvent(new Event('change', { bubbles: true }))
}

// a picture of 16 by 16 pixels
function picture() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 16 })
  canvas.getContext('2d').fillRect(4, 4, 8, 8)
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'))
}

const heard = (word) => (text) => text.includes(word) && (text.includes('well') || text.startsWith('echo'))

const steps = {
  async 'opening the chat'(w, s) {
    await open(w, s, s.flows.chat)
    await called('GET', 'chatflows-streaming/')
  },
  async 'a question, streamed'(w, s) {
    await open(w, s, s.flows.chat)
    return await ask('streamed1', heard('streamed1'))
  },
  async 'a question, whole'(w, s) {
    await open(w, s, s.flows.whole)
    return await ask('whole1', heard('whole1'))
  },
  async 'thumbs up or down'(w, s) {
    await open(w, s, s.flows.chat)
    await ask('thumb1', heard('thumb1'))
    const thumb = await until('thumb', () => button('Thumbs Up'))
    thumb.click()
    const { status } = await called('POST', 'feedback/')
    if (status === 200) await until('dialog', () => button('Submit Feedback'))
  },
  async 'a comment to the thumb'(w, s) {
    await steps['thumbs up or down'](w, s)
    const submit = button('Submit Feedback')
    if (!submit) return
    type([...root().querySelectorAll('textarea')].find((t) => t.placeholder?.toLowerCase().includes('like') || t.rows > 1) ?? one('textarea'), 'a good response')
    await pause(100)
    submit.click()
    await called('PUT', 'feedback/')
  },
  async 'an image in the question'(w, s) {
    await open(w, s, s.flows.chat)
    attach('p.png', 'image/png', await picture())
    await pause(500)
    return await ask('image1', heard('')) // the stand-in answers the last message, which is the image alone
  },
  async 'showing an image again, after a reload'(w, s) {
    await steps['an image in the question'](w, s)
    await open(w, s, s.flows.chat, true)
    const image = await until('image', () => [...root().querySelectorAll('img')].find((i) => i.src.includes('get-upload-file')))
    await until('image, loaded or failed', () => image.complete)
    calls.push({ method: 'GET', path: 'get-upload-file', status: image.naturalWidth > 0 ? 200 : 401, key: false })
  },
  async 'uploading a file'(w, s) {
    await open(w, s, s.flows.chat)
    attach('notes.txt', 'text/plain', 'some notes')
    await pause(500)
    const text = await ask('file1', heard('file1'))
    await called('POST', 'attachments/')
    return text
  },
  async 'the lead form'(w, s) {
    await open(w, s, s.flows.leads)
    const name = await until('lead form', () => one('input[name=name]'))
    type(name, 'Jane')
    type(one('input[name=email]'), 'jane@example.com')
    await pause(100)
    ;(name.closest('form').querySelector('button[type=submit]') ?? name.closest('form').querySelector('button')).click()
    const { status } = await called('POST', 'leads/')
    await pause(500)
    const locked = one('[data-testid=input] textarea')?.disabled ?? true
    if (status === 200 && locked) throw new Error('the chat is still locked')
    return locked ? 'locked' : 'not locked'
  },
  async 'downloading a file annotation'(w, s) {
    await open(w, s, s.flows.chat)
    const history = [{ message: 'a file', type: 'apiMessage', fileAnnotations: [{ filePath: '/f.txt', fileName: 'f.txt' }] }]
    localStorage.setItem(s.flows.chat + '_EXTERNAL', JSON.stringify({ chatId: crypto.randomUUID(), chatHistory: history }))
    await open(w, s, s.flows.chat, true)
    const download = await until('button to download', () => button('f.txt'))
    download.click()
    await called('POST', 'openai-assistants-file/download')
  },
  async 'files for a RAG chatflow'(w, s) {
    await open(w, s, s.flows.rag)
    attach('notes.txt', 'text/plain', 'some notes')
    await pause(500)
    const text = await ask('rag1', heard('rag1'))
    await called('POST', 'vector/upsert/')
    return text
  },
  async 'speaking a response'(w, s) {
    await open(w, s, s.flows.speech)
    await ask('speech1', heard('speech1'))
    const play = await until('button to play', () => button('Play audio'), 3)
    play.click()
    await called('POST', 'text-to-speech/generate')
    await pause(1000)
  },
  async 'speaking a question'(w, s) {
    await open(w, s, s.flows.speech)
    const microphone = await until('microphone', () => one('.start-recording-button'))
    microphone.click()
    await pause(2500)
    const stop = await until('button to end the recording', () => [...root().querySelectorAll('button')].findLast((b) => !b.disabled && b.querySelector('.send-icon')))
    stop.click()
    await called('POST', 'prediction/')
    return await until('response', () => shown().find((text) => text.includes('well')), 10).catch(() => shown().at(-1))
  },
  async 'asking on with another token'(w, s) {
    await open(w, s, s.flows.chat)
    const tokens = () => calls.filter((c) => c.path === '/chat-token').length
    const thumbs = () => [...root().querySelectorAll('button')].filter((b) => b.title === 'Thumbs Up').length
    for (let i = 1; tokens() < 3; i++) {
      if (i > 40) throw new Error('the token is not renewed')
      await ask('again' + i, heard('again' + i))
      await until('end of the response', () => thumbs() >= i) // Flowise mixes up two questions at once of one conversation
      await pause(500)
    }
    return await ask('again0', heard('again0'))
  },
  async 'not signed in'(w, s) {
    startByScript(s, s.flows.chat)
    const sentence = await until('sentence', () => document.querySelector('p[role=status]'))
    return sentence.textContent
  },
  async 'from another origin'(w, s) {
    await open(w, s, s.flows.chat)
    await ask('own1', heard('own1')) // the visitor has a session
    const frame = document.createElement('iframe')
    frame.src = s.other
    const over = new Promise((resolve) => addEventListener('message', (e) => resolve(e.data)))
    document.body.append(frame)
    return await over
  },
  async 'revoked'(w, s) {
    await open(w, s, s.flows.chat)
    await ask(s.held, (text) => text.includes('heard'))
    const cut = await send('/revoke', { method: 'POST' })
    if (cut.status !== 200) throw new Error(await cut.text())
    const sent = () => calls.filter((c) => c.path.startsWith('prediction/')).length
    for (let i = 0; sent() < 2 && i < 50; i++) { // the widget takes no question before it has seen the end of the stream
      type(one('textarea'), 'after1')
      one('textarea').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, composed: true }))
      await pause(300)
    }
    return await until('refusal in the chat', () => shown().find((text) => text.startsWith('The API key')))
  },
  async 'stopping a response'(w, s) {
    await open(w, s, s.flows.agent)
    const asked = ask('slow1', (text) => text.startsWith('heard'))
    const stop = await until('button to stop', () => button('Stop'), 10)
    stop.click()
    await called('PUT', 'chatmessage/abort/')
    await asked.catch(() => {}) // nothing may be left to show
  },
}

async function run() {
  const response = await send('/next')
  if (response.status !== 200) return
  const scenario = await response.json()
  const { default: widget } = await import(`/flowise-embed/${scenario.widget}.js`)
  for (const feature of scenario.features) {
    calls.length = 0
    const result = { feature, calls: [], text: '', error: '' }
    try {
      result.text = (await steps[feature](widget, scenario)) ?? ''
    } catch (e) {
      result.error = String(e)
    }
    result.calls = calls.filter((c) => c.status)
    await send('/report', { method: 'POST', body: JSON.stringify(result) })
  }
  await send('/report', { method: 'POST', body: JSON.stringify({ feature: '' }) })
  location.reload()
}

run().catch((e) => send('/report', { method: 'POST', body: JSON.stringify({ feature: '', error: String(e.stack ?? e) }) }))
