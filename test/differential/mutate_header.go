//go:build e2e

package differential

import (
	"math/rand/v2"
	"strings"
)

// Planted marks header values that must not pass the gate.
const Planted = "planted"

func methods(r *rand.Rand, m *message) {
	switch r.IntN(4) {
	case 0: // a preflight, which browsers send without a key
		m.method = "OPTIONS"
		m.members = nil
		m.dropLine("Content-Type")
		m.lines = append(m.lines, "Origin: https://"+pick(r, "page.example", "evil.example", "null"), "Access-Control-Request-Method: "+pick(r, "POST", "GET", "PUT", "DELETE", "post", "OPTIONS", ""))
		if r.IntN(2) == 0 {
			m.dropLine("Authorization")
		}
	case 1:
		m.method = pick(r, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
	default:
		m.method = pick(r, "CONNECT", "TRACE", "OPTIONS", strings.ToLower(m.method), "FOO", "PRI", "HEAD", "PROPFIND", "M-SEARCH", "QUERY", "SOURCE", m.method+"X", strings.Repeat("A", 300),
			"", " "+m.method, m.method+"\t", "P\u00d6ST", "*", "GET,POST", "LINK", "PURGE", "SEARCH", "UNBIND", "Post")
		m.odd = m.odd || strings.ContainsAny(m.method, " \t") || m.method == "" || m.method == "CONNECT" || m.method == "PRI"
	}
	if m.method == "HEAD" {
		m.odd = true
	}
}

func authorization(r *rand.Rand, m *message) {
	a, b, ops := m.world.Secrets[keyA], m.world.Secrets[keyB], m.world.Secrets[keyOps]
	m.dropLine("Authorization")
	m.lines = append(m.lines, pick(r,
		"Authorization: Bearer "+a+"\r\nAuthorization: Bearer "+b, "Authorization: Bearer "+b+"\r\nAuthorization: Bearer "+a, "authorization: bearer "+a, "AUTHORIZATION: BEARER "+a,
		"Authorization: Bearer  "+a, "Authorization: Bearer\t"+a, "Authorization: Basic "+a, "Authorization: "+a, "Authorization: Bearer "+a+", Bearer "+b, "Authorization: Bearer "+a+" ",
		"Authorization: Bearer "+a+" "+b, "Authorization: Bearer", "Authorization:", "Authorization: Bearer "+strings.ToUpper(a), "Authorization: Bearer "+a+"x", "Authorization: Bearer "+strings.Repeat("x", 5000),
		"Authorization: Bearer "+a+"\u00e9", "X-Authorization: Bearer "+ops, "Proxy-Authorization: Bearer "+ops, "Authorization_: Bearer "+ops, "X-Api-Key: "+ops, "Cookie: token="+ops, "Authorization: Bearer "+a+"\x00",
		"Authorization: Negotiate x Bearer "+ops, "Authorization: xBearer "+ops, "Authorization: Bearer="+ops, "Authorization: Bearer "+m.world.Secrets[keyExpired], "Authorization: \"Bearer "+a+"\"", "Authorization: Bearer "+ops,
	))
	m.odd = m.odd || strings.Contains(m.lines[len(m.lines)-1], "\x00")
}

// managedHeaders adds headers that only the gate may set, or nobody, also by names that some take for the same.
func managedHeaders(r *rand.Rand, m *message) {
	for range 1 + r.IntN(4) {
		managedHeader(r, m)
	}
}

func connectionHeaders(r *rand.Rand, m *message) {
	m.lines = append(m.lines, pick(r, "Connection: close, Authorization", "Connection: Authorization, X-Forwarded-For, X-Request-Id", "Connection: X-Request-From\r\nX-Request-From: internal", "Connection: Content-Length", "Connection: Host, Content-Type",
		"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", "Upgrade: h2c", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
		"Connection: Upgrade\r\nUpgrade: websocket, h2c", "Connection: upgrade\r\nUpgrade: TLS/1.0", "Te: trailers", "TE: trailers, deflate", "Trailer: X-Request-From", "Expect: 100-continue", "Expect: x", "Keep-Alive: timeout=500", "Proxy-Connection: keep-alive",
		"Connection: close", "Connection: keep-alive", "HTTP2-Settings: AAMAAABk", "Host: evil.example", "Connection: "+strings.Repeat("x,", 20)+"Transfer-Encoding"))
	m.odd = true
}

func managedHeader(r *rand.Rand, m *message) {
	line := pick(r, "X-Request-From: internal", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: "+Planted, "X-Forwarded-Proto: "+Planted, "X-Forwarded-Prefix: /"+Planted, "X-Forwarded-Port: 1", "X-Forwarded-User: "+Planted, "Forwarded: for="+Planted,
		"X-Real-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6", "Cookie: connect.sid="+Planted, "X-Original-URL: /api/v1/prediction/"+m.other, "X-Rewrite-URL: /api/v1/prediction/"+m.other, "X-HTTP-Method-Override: DELETE",
		"X-Method-Override: PUT", "X-HTTP-Method: PUT", "Flowise-Tool: true", "X-Flowise-Evaluation: 1", "X-Request-Id: "+Planted+"-12345678", "Proxy-Authorization: Basic "+Planted, "Via: 1.1 "+Planted)
	name, value, _ := strings.Cut(line, ":")
	switch r.IntN(6) {
	case 0:
		name = strings.ReplaceAll(name, "-", "_")
	case 1:
		name = strings.ReplaceAll(name, "-", pick(r, ".", "~", "!", "$", "*", "^", "|", "'", "+", "%", "&", "#", "`"))
	case 2:
		name = strings.ToUpper(name)
	case 3:
		name = strings.ToLower(name)
	case 4:
		if i := strings.IndexByte(name, '-'); i >= 0 {
			name = name[:i] + "_" + name[i+1:]
		}
	}
	m.lines = append(m.lines, name+":"+value)
	if r.IntN(5) == 0 {
		m.lines = append(m.lines, line)
	}
}
