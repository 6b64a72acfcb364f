// The page, and the tokens for its chat. The sign-in is an example: put your site's own in its place.
import { createServer } from 'node:http'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

const { KEY_FILE, PASSWORD, ORIGIN = 'http://127.0.0.1:8000', GATE = 'http://127.0.0.1:8080/chat', PORT = 3001 } = process.env
const key = readFileSync(KEY_FILE, 'utf8').trim(), page = readFileSync(new URL('../page.html', import.meta.url))
const sessions = new Map(), chatflow = '3f1c2a9e-1111-4222-8333-444455556666'

async function serve(request, response) {
  const respond = (status, body = '', header = {}) => response.writeHead(status, { 'Cache-Control': 'no-store', ...header }).end(body)
  const { method, url, headers } = request, user = sessions.get(/(?:^|; )session=([^;]+)/.exec(headers.cookie)?.[1])
  if (method === 'GET') return respond(200, page, { 'Content-Type': 'text/html', 'Content-Security-Policy': "frame-ancestors 'none'" })
  const form = new URLSearchParams(await new Response(request).text()), session = randomUUID()
  if (url === '/login' && PASSWORD && form.get('password') === PASSWORD) {
    sessions.set(session, form.get('user'))
    return respond(303, '', { Location: '/', 'Set-Cookie': `session=${session}; HttpOnly; Secure; SameSite=Lax; Path=/` })
  }
  if (url !== '/chat-token' || !user) return respond(401)
  const minted = await fetch(GATE + '/-/token', {
    method: 'POST', headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ chatflow, origin: ORIGIN, user, ttl: 600 }), signal: AbortSignal.timeout(5000),
  }).catch(() => null)
  if (!minted?.ok) return respond(minted?.status === 429 ? 429 : 502)
  respond(200, await minted.text(), { 'Content-Type': 'application/json' })
}
// A visitor who leaves in the middle of a request ends that alone.
createServer((request, response) => serve(request, response).catch(() => response.destroy())).listen(PORT, '127.0.0.1')
