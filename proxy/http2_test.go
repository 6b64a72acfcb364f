package proxy_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestHTTP2BadTargets sends every bad target of HTTP/1 as :path, with a key and without. Either the gate refuses it as in
// HTTP/1, or net/http resets the stream.
func TestHTTP2BadTargets(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	g := serveTLS(t, nil, time.Minute, nil)
	c := g.dialH2(t)
	targets := 0
	for _, tt := range badTargets {
		_ = c.SetDeadline(time.Now().Add(testkit.Timeout)) // for each class
		for _, target := range tt.targets {
			method := cmp.Or(tt.method, http.MethodPost)
			for _, key := range [][]field{nil, {h2bearer(secretA)}, {h2bearer(secretOps)}} {
				header := append([]field{{":method", method}, {":scheme", "https"}, {":authority", "gate"}, {":path", target}}, key...)
				res := c.response(t, c.send(t, header, true))
				targets++
				switch {
				case res.reset != nil && *res.reset == http2.ErrCodeProtocol: // by net/http
				case tt.code != byNetHTTP:
					if fault := refusedTarget(&res.response, tt.code, target); fault != "" {
						t.Errorf("%s: %s %.200q: %s", tt.class, method, target, fault)
					}
				case res.status < 400 || res.status == 502:
					t.Errorf("%s: %s %.200q = %d, want it refused", tt.class, method, target, res.status)
				}
			}
		}
	}
	if targets < 300 {
		t.Errorf("requests sent = %d, want hundreds", targets)
	}
	probes := 1 + int64(time.Since(begin)/(10*time.Second)) // of the upstream's health
	if n := g.upstream.connections.Load(); n > probes {
		t.Errorf("connections to the upstream = %d, want those of health probes, at most %d", n, probes)
	}
	c.alive(t)
}

// TestHTTP2Malformed sends headers that cannot be expressed in HTTP/1. None may reach the upstream, and the connection
// must serve the next request.
func TestHTTP2Malformed(t *testing.T) {
	t.Parallel()
	path := "/api/v1/prediction/" + botA
	key := h2bearer(secretA)
	with := func(fields ...field) []field { return post(path, append([]field{key}, fields...)...) }
	for _, tt := range []struct {
		name   string
		header []field
		status int // 0 if the stream is reset
		code   problem.Code
	}{
		{"no path", []field{{":method", "POST"}, {":scheme", "https"}, {":authority", "gate"}, key}, 0, ""},
		{"empty path", post("", key), 0, ""},
		{"path of an authority", post("gate" + path), 0, ""},
		{"absolute path", post("https://gate"+path, key), 400, problem.NotCanonical},
		{"fragment", post(path+"#x", key), 400, problem.NotCanonical},
		{"two paths", append([]field{{":method", "POST"}, {":scheme", "https"}, {":path", "/api/v1/ping"}, {":path", path}}, key), 0, ""},
		{"path after a field", []field{{":method", "POST"}, {":scheme", "https"}, key, {":path", path}}, 0, ""},
		{"no scheme", []field{{":method", "POST"}, {":authority", "gate"}, {":path", path}, key}, 0, ""},
		{"user in the authority", []field{{":method", "POST"}, {":scheme", "https"}, {":authority", "a@gate"}, {":path", path}, key}, 0, ""},
		{"CONNECT", []field{{":method", "CONNECT"}, {":authority", "127.0.0.1:3000"}, key}, 400, problem.NotCanonical},
		{"extended CONNECT", []field{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", "gate"}, {":path", path}, key}, 0, ""},
		{"Connection", with(field{"connection", "authorization"}), 400, ""},
		{"Upgrade", with(field{"upgrade", "websocket"}), 400, ""},
		{"Transfer-Encoding", with(field{"transfer-encoding", "chunked"}), 400, ""},
		{"TE", with(field{"te", "gzip"}), 400, ""},
		{"a name in upper case", with(field{"X-Upper", "x"}), 0, ""},
		{"a line break in a value", with(field{"x-break", "a\r\nx-request-from: internal"}), 0, ""},
		{"two credentials", with(h2bearer(secretB)), 400, problem.BadRequest},
		{"two credentials in one", post(path, field{"authorization", "Bearer " + secretA + ", Bearer " + secretB}), 401, problem.InvalidKey},
		{"large header", with(field{"x-large", strings.Repeat("x", 9<<10)}, field{"x-large", strings.Repeat("x", 9<<10)}), 431, ""},
		{"a length that is none", with(field{"content-length", "x"}), 400, problem.BadRequest},
		{"a length with a sign", with(field{"content-length", "+0"}), 400, problem.BadRequest},
		{"two lengths", with(field{"content-length", "0"}, field{"content-length", "5"}), 400, problem.BadRequest},
		{"a length without a body", with(field{"content-length", "5"}), 400, problem.BadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := serveTLS(t, nil, time.Minute, nil)
			c := g.dialH2(t)
			res := c.response(t, c.send(t, tt.header, true))
			if res.status != tt.status || tt.status == 0 && res.reset == nil || res.problem.Code != string(tt.code) {
				t.Errorf("response = %d %q, reset %v, want %d %q", res.status, res.body, res.reset, tt.status, tt.code)
			}
			if _, _, n := g.upstream.last(); n != 0 {
				t.Errorf("%d requests reached the upstream, want none", n)
			}
			c.alive(t)
		})
	}
}

// TestHTTP2BodyLength sends bodies with a wrong Content-Length to a chatflow that restricts what a body may hold. The
// gate must not take such a body for empty.
func TestHTTP2BodyLength(t *testing.T) {
	t.Parallel()
	const denied = `{"overrideConfig":{}}`
	g := serveTLS(t, nil, time.Minute, withKeys(t, limitedKeys))
	for _, tt := range []struct {
		name, length string
		code         problem.Code // empty if net/http may reset the stream before the gate responds
	}{
		{"none", "", problem.FieldNotAllowed},
		{"right", fmt.Sprint(len(denied)), problem.FieldNotAllowed},
		{"no number", "x", ""},
		{"with a sign", "+" + fmt.Sprint(len(denied)), ""},
		{"too large", "100", problem.BadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := g.dialH2(t)
			header := post("/api/v1/prediction/"+botLimited, h2bearer(secretA), field{"content-type", "application/json"})
			if tt.length != "" {
				header = append(header, field{"content-length", tt.length})
			}
			id := c.send(t, header, false)
			_ = c.framer.WriteData(id, true, []byte(denied))
			res := c.response(t, id)
			if tt.code == "" && res.reset == nil && res.status < 400 || tt.code != "" && res.problem.Code != string(tt.code) {
				t.Errorf("response = %d %s, reset %v, want %s", res.status, res.body, res.reset, tt.code)
			}
			if _, body, _ := g.upstream.last(); strings.Contains(body, "override") {
				t.Errorf("body at the upstream = %q, want none", body)
			}
		})
	}
}

// TestHTTP2Refusals makes the gate refuse in the middle of bodies, large and unfinished ones. Each refusal comes at once,
// and the connection stays open.
func TestHTTP2Refusals(t *testing.T) {
	t.Parallel()
	json := field{"content-type", "application/json"}
	predict := "/api/v1/prediction/"
	for _, tt := range []struct {
		name   string
		header []field
		send   int // bytes of the body, which never ends
		status int
		code   problem.Code
	}{
		{"no key", post(predict + botA), 10 << 10, 401, problem.MissingKey},
		{"wrong key", post(predict+botA, h2bearer("wrong-key-0123456789")), 10 << 10, 401, problem.InvalidKey},
		{"other chatflow", post(predict+botB, h2bearer(secretA)), 10 << 10, 403, problem.KeyNotForChatflow},
		{"not exposed", post("/api/v1/chatflows"), 0, 404, problem.NotExposed},
		{"not canonical", post("/api//v1/chatflows"), 0, 400, problem.NotCanonical},
		{"announced too large", post(predict+botA, h2bearer(secretA), json, field{"content-length", "1000000"}), 0, 413, problem.BodyTooLarge},
		{"too large to check", post(predict+botLimited, h2bearer(secretA), json), 10 << 10, 413, problem.BodyTooLarge},
		{"a form", post(predict+botLimited, h2bearer(secretA), field{"content-type", "multipart/form-data"}), 0, 415, problem.UnsupportedMediaType},
		{"a body for discovery", append([]field{{":method", "GET"}, {":scheme", "https"}, {":path", "/api/v1/chatflows-streaming/" + botA}}, json), 0, 400, problem.BadRequest},
		{"too large", post(predict+botA, h2bearer(secretA), json), 120 << 10, 413, problem.BodyTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := serveTLS(t, nil, time.Minute, func(o *proxy.Options) { withKeys(t, limitedKeys)(o); o.MaxBody = 100 << 10; o.MaxCheckedBody = 1 << 10 })
			c := g.dialH2(t)
			id := c.send(t, tt.header, false)
			for sent := 0; sent < tt.send; sent += 10 << 10 {
				if err := c.framer.WriteData(id, false, make([]byte, 10<<10)); err != nil {
					t.Fatal(err)
				}
			}
			res := c.response(t, id)
			if res.status != tt.status || res.problem.Code != string(tt.code) || res.header.Get("X-Request-Id") == "" || res.goAway {
				t.Errorf("response = %d %s, GOAWAY %t, want %d %s and a connection that stays", res.status, res.body, res.goAway, tt.status, tt.code)
			}
			if _, body, n := g.upstream.last(); tt.name != "too large" && n != 0 { // the upstream has read its beginning
				t.Errorf("body at the upstream = %q, want none", body)
			}
			c.alive(t)
		})
	}
}
