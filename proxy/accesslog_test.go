package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// act is an upstream that does what the header X-Act says.
func act(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("X-Act") {
	case "400":
		w.WriteHeader(http.StatusBadRequest)
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
	case "break off":
		panic(http.ErrAbortHandler)
	case "never":
		untilGone(r)
	case "break in the middle", "go on":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		if r.Header.Get("X-Act") != "go on" {
			panic(http.ErrAbortHandler)
		}
		untilGone(r)
	}
}

// TestQuietAllowed sends a request for each outcome, with QuietAllowed and without.
func TestQuietAllowed(t *testing.T) {
	t.Parallel()
	predict := "/api/v1/prediction/" + botA
	key := bearerOf(secretA)
	type line struct {
		Level, Code string
		Status      int
	}
	rows := []struct {
		name         string
		method, path string
		headers      []string
		leave        string // close once this was read; "nothing": before a response; "never": after the gate has closed
		want         line
		quiet        bool // QuietAllowed omits the line
	}{
		{"served", "POST", predict, []string{key}, "", line{"info", "", 200}, true},
		{"400 of the upstream", "POST", predict, []string{key, "X-Act: 400"}, "", line{"info", "", 400}, true},
		{"public", "GET", "/api/v1/ping", nil, "", line{"info", "", 200}, true},
		{"preflight", "OPTIONS", predict, []string{"Origin: https://a.example", "Access-Control-Request-Method: POST"}, "", line{"info", "", 200}, true},
		{"500 of the upstream", "POST", predict, []string{key, "X-Act: 500"}, "", line{"warn", "", 500}, false},
		{"500 of the upstream, without a key", "GET", "/api/v1/ping", []string{"X-Act: 500"}, "", line{"warn", "", 500}, false},
		{"no key", "POST", predict, nil, "", line{"warn", "missing_key", 401}, false},
		{"another's key", "POST", predict, []string{bearerOf(secretB)}, "", line{"warn", "key_not_for_chatflow", 403}, false},
		{"not exposed", "GET", "/nowhere", []string{key}, "", line{"warn", "not_exposed", 404}, false},
		{"too large", "POST", predict, []string{key, "Content-Length: 2000"}, "", line{"warn", "body_too_large", 413}, false},
		{"broken off", "POST", predict, []string{key, "X-Act: break off"}, "", line{"error", "upstream_unreachable", 502}, false},
		{"no response", "POST", predict, []string{key, "X-Act: never"}, "", line{"error", "upstream_timeout", 504}, false},
		{"broken in the middle", "POST", predict, []string{key, "X-Act: break in the middle"}, "never", line{"warn", "upstream_broken", 200}, false},
		{"left in the middle", "POST", predict, []string{key, "X-Act: go on"}, "data: one", line{"info", "client_closed", 200}, false},
		{"left before the response", "POST", predict, []string{key, "X-Act: never"}, "nothing", line{"info", "client_closed", 499}, false},
	}
	for _, quiet := range []bool{false, true} {
		for _, r := range rows {
			t.Run(fmt.Sprintf("quiet %t, %s", quiet, r.name), func(t *testing.T) {
				s := serveGateWith(t, act, time.Minute, func(o *proxy.Options) {
					o.QuietAllowed, o.MaxBody = quiet, 1000
					if r.name == "no response" {
						o.UpstreamTimeout = 50 * time.Millisecond
					}
				})
				header := r.method + " " + r.path + " HTTP/1.1\r\nHost: gate\r\n" + strings.Join(append(r.headers, "", ""), "\r\n")
				c := s.dial(t)
				_, _ = io.WriteString(c, header)
				switch r.leave {
				case "":
					readResponse(t, c)
				case "nothing":
					testkit.Eventually(t, "request at the upstream", func() bool { _, _, n := s.upstream.last(); return n > 0 })
				case "never":
					_, _ = io.Copy(io.Discard, c)
				default:
					var got strings.Builder
					for !strings.Contains(got.String(), r.leave) {
						if _, err := io.CopyN(&got, c, 1); err != nil {
							t.Fatalf("read %q, %v, want %q", &got, err, r.leave)
						}
					}
				}
				c.Close()
				s.stop()
				if err := <-s.ended; err != nil { // all lines have been written then
					t.Fatal(err)
				}
				var got []line
				for text := range strings.Lines(s.log.String()) {
					var l struct {
						line
						Message string
					}
					if err := json.Unmarshal([]byte(text), &l); err != nil {
						t.Fatalf("log line %q: %v", text, err)
					}
					if l.Message == "request" {
						got = append(got, l.line)
					}
				}
				want := []line{r.want}
				if quiet && r.quiet {
					want = nil
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("lines of the request (-want +got):\n%s", diff)
				}
				if _, metrics := s.adminGet(t, "GET", "/metrics"); strings.Count(metrics, "flowlatch_requests_total{") != 1 {
					t.Errorf("metrics = %s, want the request counted", metrics)
				}
			})
		}
	}
}

// TestDebugLogsEveryRequest: at level debug, log lines are not limited.
func TestDebugLogsEveryRequest(t *testing.T) {
	t.Parallel()
	log := &testkit.Buffer{}
	g := newGate(t, nil, func(o *proxy.Options) { o.Log = zerolog.New(log).Level(zerolog.DebugLevel) })
	const flood = 150
	for range flood {
		g.request(t, "GET", "/api/v1/ping", "")
	}
	testkit.Eventually(t, "line for each request", func() bool { return strings.Count(log.String(), `"route":"ping"`) == flood })
}

// TestReasonIsLogged checks the reasons for refusals that are logged but not sent to clients.
func TestReasonIsLogged(t *testing.T) {
	t.Parallel()
	made := keystore.Generate()
	last := "0"
	if strings.HasSuffix(made, last) {
		last = "1"
	}
	for _, tt := range []struct{ name, key, reason string }{
		{"mistyped", made[:len(made)-1] + last, "mistyped key: wrong checksum"},
		{"cut", made[:20], "mistyped key: wrong checksum"},
		{"unknown", made, "unknown key"},
		{"not made by flowlatch", "not-a-key-0123456789", "unknown key"},
		{"expired", secretExpired, "key has expired"},
		{"disabled", secretDisabled, "key is disabled"},
		{"not valid yet", secretFuture, "key is not valid yet"},
		{"malformed", "a b", "malformed bearer token"},
		{"for another chatflow", secretB, "key is not listed for the chatflow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(tt.key), jsonType)
			testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), "\n") })
			if !strings.Contains(g.log.String(), `"reason":"`+tt.reason+`"`) {
				t.Errorf("log = %s, want the reason %q", g.log, tt.reason)
			}
			if tt.key != secretB && (res.problem.Detail != "this API key is not valid" || strings.Contains(res.headerText()+res.body, tt.reason)) {
				t.Errorf("response = %s, want the same as for any invalid key", res.body)
			}
		})
	}
}
