// Routes requests as Flowise does, and says which chatflow each is for instead of running it.
//
//   node router.js VERSION     VERSION is 2.2.8 or 3.1.4
//
// The steps and their order are those of packages/server/src/index.ts at that tag, on the same Express and the same
// sanitize-html: body parsers, CORS, the sanitizer that rewrites the URL, the list of open routes, the routes. Left out is
// what does not bear on which chatflow a request is for: multipart bodies, cookies, rate limits, the database.
//
// It listens on two ports of 127.0.0.1, one for a gate and one for callers that go around it, and prints one line of JSON
// with both; then one for each request, before its answer. It ends when its standard input does.
'use strict'

const http = require('http')
const path = require('path')
const cors = require('cors')
const express = require('express')
const sanitizeHtml = require('sanitize-html')

const version = process.argv[2]
const routerKey = process.env.ROUTER_KEY // stands for one of the runner's own API keys
if (!['2.2.8', '3.1.4'].includes(version) || !routerKey) {
    console.error('usage: ROUTER_KEY=... node router.js 2.2.8|3.1.4')
    process.exit(2)
}
const is2 = version === '2.2.8'

// WHITELIST_URLS of utils/constants.ts, as far as there are routes below.
const open = [
    '/api/v1/verify/apikey/',
    '/api/v1/chatflows/apikey/',
    '/api/v1/public-chatflows',
    '/api/v1/public-chatbotConfig',
    '/api/v1/prediction/',
    '/api/v1/node-icon/',
    '/api/v1/components-credentials-icon/',
    '/api/v1/chatflows-streaming',
    '/api/v1/chatflows-uploads',
    '/api/v1/openai-assistants-file/download',
    '/api/v1/feedback',
    '/api/v1/leads',
    '/api/v1/get-upload-file',
    '/api/v1/ip',
    '/api/v1/ping',
    '/api/v1/version',
    '/api/v1/attachments',
    ...(is2
        ? ['/api/v1/vector/upsert/', '/api/v1/metrics', '/api/v1/nvidia-nim']
        : [
              '/api/v1/public-executions',
              '/api/v1/webhook/',
              '/api/v1/chatmessage/abort',
              '/api/v1/auth/resolve',
              '/api/v1/auth/login',
              '/api/v1/settings',
              '/api/v1/account/register',
              '/api/v1/loginmethod/default',
              '/api/v1/oauth2-credential/callback',
              '/api/v1/mcp/',
              '/api/v1/text-to-speech/generate',
              '/api/v1/text-to-speech/abort'
          ])
]

let gatePort

// say prints what became of a request: the controller it reached, or none, and the chatflow that the controller uses.
function say(req, controller, found) {
    if (req.said) return
    req.said = true
    console.log(
        JSON.stringify({
            via: req.socket.localPort === gatePort ? 'gate' : 'direct',
            controller,
            ...found,
            method: req.method,
            url: req.originalUrl,
            headers: req.rawHeaders,
            trailers: req.rawTrailers
        })
    )
}

// reach ends a route: find returns what the controller reads from the request, or undefined if it refuses it unread.
const reach = (controller, find) => (req, res) => {
    const found = find(req)
    if (!found) {
        say(req, '', {})
        return res.status(412).json({ error: 'not provided' })
    }
    say(req, controller, found)
    res.json({ controller, ...found })
}

const nothing = () => ({})
const param = (name) => (req) => req.params[name] ? { chatflow: req.params[name], question: req.body.question } : undefined

const app = express()
app.use(express.json({ limit: '50mb' }))
app.use(express.urlencoded({ limit: '50mb', extended: true }))
// 2.2.8 lets in every origin unless told otherwise, 3.1.4 none. A preflight of an origin that is not let in is no
// preflight to cors: it goes on to the routes.
app.use(cors({ origin: (origin, done) => done(null, is2 || !origin) }))
app.disable('x-powered-by')

// utils/XSS.ts
app.use((req, _res, next) => {
    req.url = sanitizeHtml(decodeURI(req.url))
    for (const name in req.query) {
        const value = req.query[name]
        req.query[name] = Array.isArray(value) ? value.map((v) => sanitizeHtml(v)) : sanitizeHtml(value)
    }
    next()
})

app.use((req, res, next) => {
    if (!/\/api\/v1\//i.test(req.path)) return next()
    const known = (req.headers.authorization ?? '').split('Bearer ').pop() === routerKey
    const isInternal = req.headers['x-request-from'] === 'internal'
    if (/\/api\/v1\//.test(req.path)) {
        if (open.some((url) => req.path.startsWith(url))) return next()
        if (isInternal ? is2 : known) return next() // 2.2.8 without a user name, and 3.1.4 without a session
    }
    say(req, 'unauthorized', {})
    res.status(401).json({ error: 'Unauthorized Access' })
})

const api = express.Router()
// Each first segment has a router of its own, as in routes/index.ts: mounting takes a slash more than matching does.
const at = (name) => {
    const router = express.Router()
    api.use(`/${name}`, router)
    return router
}

// The routes that the gate may expose. Each reads the chatflow where Flowise's controller does.
const orID = ['/', '/:id']
at('ping').get('/', reach('ping', nothing))
at('prediction').post(orID, reach('prediction', param('id')))
at('chatflows-streaming').get(orID, reach('chatflows-streaming', param('id')))
at('chatflows-uploads').get(orID, reach('chatflows-uploads', param('id')))
at('chatmessage').put(
    ['/abort/', '/abort/:chatflowid/:chatid'],
    reach('abort', (req) => (req.params.chatid ? param('chatflowid')(req) : undefined))
)
at('attachments').post('/:chatflowId/:chatId', reach('attachments', param('chatflowId')))
at('get-upload-file').get(
    '/',
    reach('get-upload-file', (req) => {
        const parts = [req.query.chatflowId, req.query.chatId, req.query.fileName]
        if (!parts.every((p) => p && typeof p === 'string')) return undefined // path.join throws on an array
        // What counts is the folder that is read from (streamStorageFile in components/src/storageUtils.ts).
        const file = path.posix.join('/', parts[0], parts[1], parts[2].replace(/[/?<>\\:*|"\x00-\x1f\x80-\x9f]/g, ''))
        return { chatflow: file.split('/')[1] }
    })
)
at('public-chatbotConfig').get(orID, reach('public-chatbotConfig', param('id')))
// A row is what Flowise stores: all of the body for feedback and, in 2.2.8, for leads, so that an id in it names the row.
const row = (req) => Object.assign(Object.create({}), req.body)
const stored = (req) => ({ chatflow: row(req).chatflowid, row: row(req).id, question: row(req).name })
const feedback = at('feedback')
feedback.post(orID, reach('feedback', stored))
feedback.put(orID, reach('feedback-update', (req) => (req.params.id ? {} : undefined)))
at('leads').post('/', reach('leads', (req) => (is2 ? stored(req) : { chatflow: req.body.chatflowid, question: req.body.name })))
at('node-icon').get(['/', '/:name'], reach('node-icon', nothing))
// Without an ID it is the first chatflow of the database (findOneBy with undefined).
at('vector').post(['/upsert/', '/upsert/:id'], reach('vector-upsert', (req) => ({ chatflow: req.params.id ?? 'the first' })))
if (!is2) {
    const speech = at('text-to-speech')
    speech.post('/generate', reach('text-to-speech', (req) => ({ chatflow: req.body.chatflowId })))
    speech.post('/abort', reach('text-to-speech-abort', (req) => ({ chatflow: req.body.chatflowId })))
    const mcp = at('mcp')
    mcp.use(cors({ origin: (origin, done) => done(null, !origin) }))
    mcp.post('/:chatflowId', (req, res) => {
        if ((req.headers.authorization ?? '').startsWith('Bearer ')) return reach('mcp', param('chatflowId'))(req, res)
        say(req, '', {})
        res.status(401).end()
    })
    mcp.delete('/:chatflowId', reach('mcp', param('chatflowId')))
    at('webhook').all('/:id', reach('webhook', param('id')))
}

// Everything else of the API, which nobody may reach through the gate.
for (const name of [
    ...['account', 'apikey', 'assistants', 'auth', 'chatflows', 'chatmessage', 'components-credentials', 'credentials'],
    ...['document-store', 'executions', 'export-import', 'feedback', 'fetch-links', 'flow-config', 'internal-chatmessage'],
    ...['internal-prediction', 'leads', 'load-prompt', 'marketplaces', 'mcp-server', 'node-config', 'node-custom-function'],
    ...['node-load-method', 'nodes', 'nvidia-nim', 'openai-assistants', 'openai-assistants-file', 'openai-realtime'],
    ...['public-chatflows', 'public-executions', 'settings', 'stats', 'tools', 'upsert-history', 'user', 'validation'],
    ...['variables', 'vector', 'verify', 'version', 'webhook-listener', 'workspace', 'ip', ...(is2 ? [] : ['text-to-speech'])]
]) {
    const other = at(name)
    for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
        other[method](['/', '/:id', '/:first/:id'], reach(`other:${name}`, (req) => ({ chatflow: req.params.id })))
    }
}
app.use('/api/v1', api)

app.use((req, res) => {
    say(req, 'ui', {})
    res.send('<!doctype html>')
})
app.use((err, req, res, _next) => {
    say(req, 'error', {})
    res.status(err.statusCode || 500).json({ error: err.message })
})

const listen = () =>
    new Promise((resolve) => {
        const server = http.createServer((req, res) => {
            res.on('close', () => say(req, '', {})) // answered by Express itself
            app(req, res)
        })
        server.on('clientError', (err, socket) => {
            // A caller that breaks off has the gate break off.
            if (socket.localPort === gatePort && !['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(err.code)) {
                console.log(JSON.stringify({ via: 'gate', controller: 'malformed', url: err.code, method: '', headers: [], trailers: [] }))
            }
            socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
        })
        server.listen(0, '127.0.0.1', () => resolve(server.address().port))
    })

Promise.all([listen(), listen()]).then(([gate, direct]) => {
    gatePort = gate
    console.log(JSON.stringify({ gate, direct }))
})
process.stdin.on('end', () => process.exit(0)).resume()
