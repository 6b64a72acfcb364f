/* Starts Flowise's chat widget with tokens from the page's server: flowlatch's docs/widget.md. */
(() => {
  // The script is /-/widget.js of the gate, perhaps with a query.
  const { src, dataset: data } = document.currentScript, gate = src.replace(/\/-\/widget.*/, ''), session = 'session' in data
  const sentences = { 401: 'Please sign in to chat.', 403: 'You may not chat here.', 429: 'Please try again later.' }
  const root = document.documentElement, element = (name, fields) => Object.assign(document.createElement(name), fields)
  const now = () => Date.now()
  let token, renewAt = 0, endsAt = 0, pending, started, notice

  function fail(error) {
    console.error('flowlatch:', error)
    renewAt = now() + 6e4
    if (now() < endsAt) return
    notice?.remove()
    notice = element('p', { textContent: data['message-' + error] ?? sentences[error] ?? 'The chat is unavailable.', role: 'status' })
    notice.style.cssText = 'position:fixed;right:1em;bottom:0;padding:1em;background:#fff;color:#333'
    if (notice.textContent) root.append(notice)
  }

  async function post(url, headers) {
    const response = await fetch(url, { method: 'POST', headers, redirect: 'manual', signal: AbortSignal.timeout(1e4) })
    // A redirect has no status here. It leads to a page to sign in.
    if (!response.ok) throw response.status || 401
    return response
  }

  async function renew() {
    const response = await post(data.token), got = await response.json()
    // The visitor's clock may be wrong. Both times are whole seconds, and the response was under way.
    const life = got.expires_at * 1e3 - (Date.parse(response.headers.get('Date')) || now()) - 2e3, ends = now() + life
    if (!(got.token && life > 0)) throw 'malformed'
    if (session) await post(gate + '/-/session', { Authorization: 'Bearer ' + got.token })
    token = got.token
    endsAt = ends
    renewAt = ends - life / 5
    notice?.remove()
  }

  // Renews the token when it is time. Only without a live one must this be waited for.
  function fresh() {
    if (data.token && now() >= renewAt) pending ||= renew().catch(fail).finally(() => { pending = 0 })
    if (now() >= endsAt) return pending
  }

  async function onRequest(request) {
    window.flowlatch ||= /"(question|form)"/.test(request.body)
    await fresh()
    if (!token || session) return
    request.headers = new Headers(request.headers)
    request.headers.set('Authorization', 'Bearer ' + token)
  }

  async function start() {
    await fresh()
    if (started || data.token && !token) return
    started = true
    await import(new URL(data.widget, root.baseURI))
    // The widget sends requests as soon as it is on the page, so it gets its fields before.
    const into = data.into && document.querySelector(data.into)
    const fields = { ...JSON.parse(data.options ?? '{}'), chatflowid: data.chatflow, apiHost: gate, onRequest };
    (into ?? root).append(element(`flowise-${into ? 'full' : ''}chatbot`, fields))
  }

  // The clock decides, not the timer: machines sleep.
  function look(event) {
    if (document.hidden) return
    if (event && now() >= endsAt) renewAt = 0
    started ? session && fresh() : start()
  }
  look()
  setInterval(look, 15e3)
  document.addEventListener('visibilitychange', look)

  // What became of questions. One flag for all chats of the page, because their questions look alike here.
  new PerformanceObserver((list) => {
    const [entry] = list.getEntriesByName(`${gate}/api/v1/prediction/${data.chatflow}`)
    // The gate may have been restarted, and the token be dead.
    if (entry?.responseStatus == 401) endsAt = renewAt = 0
    if (!entry || session || window.flowlatch) return
    window.flowlatch = 1
    console.warn('flowlatch: this widget asks without a token; use 3.1.3 or newer or data-session')
  }).observe({ type: 'resource' })
})()
