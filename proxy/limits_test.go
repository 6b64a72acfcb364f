package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// limitsFile returns a key file whose key, chatflow and public chatflow have these limits, or none if empty.
func limitsFile(key, chatflow, public string) string {
	limits := func(l string) string {
		if l == "" {
			return ""
		}
		return ", limits: {" + l + "}"
	}
	return "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + limits(key) + "}\n  - {id: key-b, secret: " + secretB + "}\nchatflows:\n" +
		"  - {id: " + botA + ", name: bot-a, keys: [key-a, key-b]" + limits(chatflow) + "}\n" +
		"  - {id: " + botPublic + ", name: open, public: true" + limits(public) + "}\n"
}

// clock is a clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// limitedGate starts a gate with a key file and a clock.
func limitedGate(t *testing.T, handler http.HandlerFunc, file string, change func(*proxy.Options)) (*gate, *clock) {
	t.Helper()
	c := newClock()
	return newGate(t, handler, func(o *proxy.Options) {
		withKeys(t, file)(o)
		o.Now = c.now
		if change != nil {
			change(o)
		}
	}), c
}

func (g *gate) predict(t *testing.T, chatflow, secret string, headers ...string) *response {
	t.Helper()
	if secret != "" {
		headers = append(headers, bearerOf(secret))
	}
	return g.request(t, "POST", "/api/v1/prediction/"+chatflow, `{"question":"x"}`, append(headers, jsonType)...)
}

// TestLimits sends requests one after the other, and checks what becomes of each.
func TestLimits(t *testing.T) {
	t.Parallel()
	const limited, quota = string(problem.RateLimited), string(problem.QuotaExceeded)
	file := limitsFile("requests: [2/1m, 100/day]", "requests: 3/1m", "requests: 5/day, per_client: {requests: 2/1m}")
	g, c := limitedGate(t, nil, file, func(o *proxy.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	from := func(client string) string { return "X-Forwarded-For: " + client }
	for n, step := range []struct {
		after            time.Duration
		chatflow, secret string
		client           string
		want             string // code; empty for 200
		retry            string
	}{
		{0, botA, secretA, "1.1.1.1", "", ""},
		{0, botA, secretA, "1.1.1.1", "", ""},
		{0, botA, secretA, "1.1.1.1", limited, "30"},
		{0, botA, secretB, "1.1.1.1", "", ""},        // another key, up to the limit of the chatflow
		{0, botA, secretB, "1.1.1.1", limited, "20"}, // of all keys together
		{0, botA, "wrong-secret-0123456789", "1.1.1.1", string(problem.InvalidKey), ""},
		{0, botPublic, "", "1.1.1.1", "", ""},
		{0, botPublic, "", "1.1.1.1", "", ""},
		{0, botPublic, "", "1.1.1.1", limited, "30"},
		{0, botPublic, "", "2.2.2.2", "", ""},
		{0, botPublic, "", "2001:db8::1", "", ""},
		{0, botPublic, "", "2001:db8::2", "", ""},                  // the same /64
		{0, botPublic, "", "3.3.3.3", quota, "43200"},              // today's five requests of all clients are used up
		{0, botPublic, "", "2001:db8::3", limited, "30"},           // rate before quota
		{30 * time.Second, botA, secretA, "1.1.1.1", "", ""},       // one is available again
		{0, botA, secretA, "1.1.1.1", limited, "30"},               // and no more
		{12 * time.Hour, botPublic, "", "3.3.3.3", "", ""},         // the next day
		{-14 * time.Hour, botA, secretA, "1.1.1.1", limited, "30"}, // a clock that is set back does not lock anybody out for long
		{30 * time.Second, botA, secretA, "1.1.1.1", "", ""},
		{14 * time.Hour, botPublic, "", "9.9.9.9", "", ""},      // nor does it reopen a day
		{24 * time.Hour, botPublic, secretA, "9.9.9.9", "", ""}, // a key that opens nothing here
	} {
		c.advance(step.after)
		res := g.predict(t, step.chatflow, step.secret, from(step.client))
		if res.problem.Code != step.want || res.header.Get("Retry-After") != step.retry {
			t.Errorf("request %d = %d %q, Retry-After %q, want %q, %q", n+1, res.status, res.problem.Code, res.header.Get("Retry-After"), step.want, step.retry)
		}
		if (step.want == quota) != (res.header.Get("X-Should-Retry") == "false") {
			t.Errorf("request %d, %q: X-Should-Retry = %q", n+1, step.want, res.header.Get("X-Should-Retry"))
		}
	}
}

// TestLimitHeaders: a client is told which of its own limits it exceeds, or of which less than a quarter is left. It is
// not told what is left of its other limits, nor of those that it shares.
func TestLimitHeaders(t *testing.T) {
	t.Parallel()
	g, c := limitedGate(t, nil, limitsFile("requests: [5/1m, 6/day], concurrent: 3", "requests: 5/1h", ""), nil)
	var got [][2]string
	for n := range 7 {
		h := g.predict(t, botA, secretA).header
		got = append(got, [2]string{h.Get("RateLimit-Policy"), h.Get("RateLimit")})
		c.advance(time.Second)
		if n == 5 {
			c.advance(time.Minute)
		}
	}
	const rate, quota = `"key requests: 5/1m"`, `"key requests: 6/day"`
	want := [][2]string{
		{},
		{},
		{}, // 5 s have given nothing back yet
		{rate + ";q=5;w=60", rate + ";r=1;t=9"},
		{rate + ";q=5;w=60, " + quota + ";q=6;w=86400", rate + ";r=0;t=8, " + quota + ";r=1;t=43196"},
		{rate + ";q=5;w=60, " + quota + ";q=6;w=86400", rate + ";r=0;t=7, " + quota + ";r=1;t=43195"}, // refused because of the key's limit
		{quota + ";q=6;w=86400", quota + ";r=1;t=43134"},                                              // refused because of the chatflow's limit
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("RateLimit-Policy and RateLimit of seven requests (-want +got):\n%s", diff)
	}
}

// TestLimitsOutliveReloads: a reload resets nothing, whatever else it changes, and a changed limit applies from the next
// request on.
func TestLimitsOutliveReloads(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := newGate(t, nil, func(o *proxy.Options) { o.Now = c.now })
	for n, step := range []struct{ limits, secret, want string }{
		{"requests: [2/1h, 3/day]", secretA, ""},
		{"requests: [2/1h, 3/day]", secretA, ""},
		{"requests: [2/1h, 3/day]", secretOps, string(problem.RateLimited)}, // rotated
		{"requests: [9/1m, 2/1h, 3/day]", secretOps, string(problem.RateLimited)},
		{"requests: [3/day]", secretOps, ""},
		{"requests: [3/day]", secretOps, string(problem.QuotaExceeded)},
		{"requests: [4/day], enforce: false", secretOps, ""},
		{"", secretOps, ""},
		{"concurrent: 1", secretOps, ""},
	} {
		testkit.ReplaceFile(t, g.keys, strings.Replace(limitsFile(step.limits, "", ""), secretA, step.secret, 1))
		if code, body := g.adminGet(t, "POST", "/-/reload"); code != 200 {
			t.Fatalf("reload = %d %s", code, body)
		}
		if res := g.predict(t, botA, step.secret); res.problem.Code != step.want {
			t.Errorf("step %d, %s: %d %q, want %q", n+1, step.limits, res.status, res.problem.Code, step.want)
		}
	}
}

// TestDiscoveryUsesNothing: clients that send discovery requests without a key do not use up what the chatflow's keys may
// use.
func TestDiscoveryUsesNothing(t *testing.T) {
	t.Parallel()
	g, _ := limitedGate(t, nil, limitsFile("", "requests: 1/day, per_client: {requests: 3/1h}", ""), nil)
	ask := func() *response { return g.request(t, "GET", "/api/v1/chatflows-streaming/"+botA, "") }
	for n, want := range []int{200, 200, 200, 429} {
		if res := ask(); res.status != want {
			t.Errorf("discovery %d = %d %q, want %d, by the limit of the client", n+1, res.status, res.problem.Code, want)
		}
	}
}

// TestRefusedBodyIsNoUse: a request whose body is refused, or that cannot be sent, does not count against a quota.
func TestRefusedBodyIsNoUse(t *testing.T) {
	t.Parallel()
	file := strings.Replace(limitsFile("requests: 1/day", "", ""), "keys: [key-a, key-b]", "keys: [key-a], body: {deny: [uploads]}", 1)
	g, _ := limitedGate(t, nil, file, nil)
	for _, body := range []string{`{"uploads":[]}`, `{`} {
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, body, bearerOf(secretA), jsonType); res.status == 200 || res.status == 429 {
			t.Errorf("request with body %s = %d, want it refused for its body", body, res.status)
		}
	}
	if res := g.predict(t, botA, secretA); res.status != 200 {
		t.Errorf("first request with a body that is accepted = %d %q, want 200", res.status, res.problem.Code)
	}
	if res := g.predict(t, botA, secretA); res.problem.Code != string(problem.QuotaExceeded) {
		t.Errorf("second request = %d %q, want the quota used up", res.status, res.problem.Code)
	}
}

// TestNotEnforced: a request that exceeds a limit which is not enforced is let through, counted and logged.
func TestNotEnforced(t *testing.T) {
	t.Parallel()
	g, _ := limitedGate(t, nil, limitsFile("requests: 1/1h, enforce: false", "", ""), nil)
	for range 3 {
		if res := g.predict(t, botA, secretA); res.status != 200 || res.header.Get("RateLimit") != "" {
			t.Fatalf("request = %d, RateLimit %q, want 200 and none", res.status, res.header.Get("RateLimit"))
		}
	}
	testkit.Eventually(t, "two log lines with the limit", func() bool {
		return strings.Count(g.log.String(), `"limit":"key requests: 1/1h"`) == 2
	})
	if _, metrics := g.adminGet(t, "GET", "/metrics"); !strings.Contains(metrics, `flowlatch_limited_total{chatflow="bot-a",key="key-a",limit="key requests: 1/1h"} 2`) {
		t.Error("no metric of two requests that exceeded the limit")
	}
}

// TestConcurrentAtTheUpstream has many clients with one key that break off at random. There are never more requests at
// the upstream than the key allows, and no place is lost.
func TestConcurrentAtTheUpstream(t *testing.T) {
	t.Parallel()
	const most = 5
	var open, highest, served atomic.Int64
	release := make(chan struct{})
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		n := open.Add(1)
		defer open.Add(-1)
		for was := highest.Load(); n > was && !highest.CompareAndSwap(was, n); was = highest.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		select { // like Flowise, it goes on when its client leaves
		case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
		case <-release:
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			_, _ = w.Write([]byte("data: x\n\n"))
			_ = http.NewResponseController(w).Flush()
		}
		served.Add(1)
	}, withKeys(t, limitsFile(fmt.Sprintf("concurrent: %d", most), "", "")))
	defer close(release)
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range atFullSize(1000, 100) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(30))*time.Millisecond)
			if rand.IntN(2) == 0 {
				cancel()
				ctx, cancel = context.WithCancel(context.Background())
			}
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/api/v1/prediction/"+botA, strings.NewReader(`{"question":"x"}`))
			r.Header.Set("Authorization", "Bearer "+secretA)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			if res.StatusCode == 429 {
				refused.Add(1)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		})
	}
	wg.Wait()
	if got := highest.Load(); got > most {
		t.Errorf("at most at once at the upstream = %d, want %d", got, most)
	}
	if served.Load() == 0 || refused.Load() == 0 {
		t.Errorf("served %d, refused %d, want both", served.Load(), refused.Load())
	}
	testkit.Eventually(t, "no place taken", func() bool {
		_, metrics := g.adminGet(t, "GET", "/metrics")
		return strings.Contains(metrics, `flowlatch_concurrent{key="key-a"} 0`)
	})
}

// TestAbandonedBeginsAtZero: rate() misses the first value of a counter that begins above zero. So the counter for time
// that the upstream spends on abandoned requests is there before a client leaves.
func TestAbandonedBeginsAtZero(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, withKeys(t, limitsFile("concurrent: 1", "", "")))
	if res := g.predict(t, botA, secretA); res.status != 200 {
		t.Fatalf("request = %d, want 200", res.status)
	}
	testkit.Eventually(t, "metric of the time that nobody waited for", func() bool {
		_, metrics := g.adminGet(t, "GET", "/metrics")
		return strings.Contains(metrics, `flowlatch_abandoned_seconds_total{chatflow="bot-a",key="key-a"} 0`+"\n")
	})
}

// TestPlaceOfAClientThatLeft: if a client leaves before the response, or in the middle of it, its request keeps its place
// until the upstream is done.
func TestPlaceOfAClientThatLeft(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"before the response": false, "in the middle of the response": true} {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				end, ended := make(chan struct{}), make(chan bool, 1)
				var first atomic.Bool
				g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if first.Swap(true) {
						return
					}
					if begun {
						w.Header().Set("Content-Type", "text/event-stream")
						_, _ = w.Write([]byte("data: x\n\n"))
						_ = http.NewResponseController(w).Flush()
					}
					select {
					case <-end:
						ended <- true
					case <-r.Context().Done():
						ended <- false
					}
				}, func(o *proxy.Options) {
					change(o)
					withKeys(t, limitsFile("concurrent: 1", "", ""))(o)
				})
				conn := g.dial(t)
				fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
				testkit.Eventually(t, "request at the upstream", func() bool { _, _, n := g.upstream.last(); return n == 1 })
				if begun {
					if _, err := bufio.NewReader(conn).ReadString('x'); err != nil {
						t.Fatal(err)
					}
				}
				conn.Close()
				select {
				case <-ended:
					t.Fatal("the upstream's request was cut when its client left")
				case <-time.After(200 * time.Millisecond): // a gate that cuts it would do so within this time
				}
				for range 3 {
					if res := g.predict(t, botA, secretA); res.problem.Code != string(problem.TooManyConcurrent) {
						t.Fatalf("request while the upstream goes on = %d %q, want too_many_concurrent", res.status, res.problem.Code)
					}
				}
				close(end)
				if !<-ended {
					t.Error("the upstream's request was cut before its end")
				}
				testkit.Eventually(t, "log line of the client that left", func() bool { return strings.Contains(g.log.String(), `"code":"client_closed"`) })
				testkit.Eventually(t, "place for another request", func() bool { return g.predict(t, botA, secretA).status == 200 })
				if _, metrics := g.adminGet(t, "GET", "/metrics"); !strings.Contains(metrics, `flowlatch_abandoned_seconds_total{chatflow="bot-a",key="key-a"}`) {
					t.Error("no metric of the time that nobody waited for")
				}
			})
		})
	}
}

// TestAbortNeedsNoPlace: a client that has taken all places can still abort what takes them. The abort counts against
// other limits, and takes no place from anybody.
func TestAbortNeedsNoPlace(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	g, _ := limitedGate(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			<-end
		}
	}, limitsFile("concurrent: 1, requests: 3/1h", "", "per_client: {concurrent: 1}"), nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(end)
	abort := func(chatflow string, headers ...string) *response {
		return g.request(t, "PUT", "/api/v1/chatmessage/abort/"+chatflow+"/c-1", "", headers...)
	}
	wg.Go(func() { g.predict(t, botA, secretA) })
	wg.Go(func() { g.predict(t, botPublic, "") })
	testkit.Eventually(t, "both requests at the upstream", func() bool { _, _, n := g.upstream.last(); return n == 2 })
	if res := abort(botPublic); res.status != 200 {
		t.Errorf("abort of a client that has its place taken = %d %q, want 200", res.status, res.problem.Code)
	}
	if res := abort(botA, bearerOf(secretA)); res.status != 200 {
		t.Errorf("abort with a key that has its place taken = %d %q, want 200", res.status, res.problem.Code)
	}
	if res := g.predict(t, botA, secretA); res.problem.Code != string(problem.TooManyConcurrent) {
		t.Errorf("another request after the abort = %d %q, want too_many_concurrent", res.status, res.problem.Code)
	}
	if res := abort(botA, bearerOf(secretA)); res.status != 200 {
		t.Errorf("second abort = %d %q, want 200", res.status, res.problem.Code)
	}
	if res := abort(botA, bearerOf(secretA)); res.problem.Code != string(problem.RateLimited) {
		t.Errorf("third abort = %d %q, want rate_limited", res.status, res.problem.Code)
	}
}

// TestStreamLimit: a response that lasts too long is cut. An event stream of Flowise, if it is between two events, ends
// as Flowise ends one.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header, body string
		status       int
		end          string // of what the client gets
		cut          bool
	}{
		"between two events":   {"text/event-stream", "message:\ndata:{}\n\n", 200, "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n", false},
		"in the middle of one": {"text/event-stream", "message:\nda", 200, "da", true},
		"no event stream":      {"application/json", "{", 200, "{", true},
		"before a response":    {"", "", 504, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.header != "" {
					w.Header().Set("Content-Type", tt.header)
					_, _ = w.Write([]byte(tt.body))
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}, withKeys(t, limitsFile("stream: 1s", "stream: 1h", "")))
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if res.StatusCode != tt.status || (err != nil) != tt.cut || !strings.HasSuffix(string(body), tt.end) {
				t.Errorf("response = %d %q, %v, want %d that ends with %q, cut: %t", res.StatusCode, body, err, tt.status, tt.end, tt.cut)
			}
			testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), "longer than the limit `stream`, 1s") })
		})
	}
}

// TestKeyNetworksAndGroups uses a key from an address that is not allowed, and on a route of a group that is not.
func TestKeyNetworksAndGroups(t *testing.T) {
	t.Parallel()
	file := "version: 1\nkeys:\n  - {id: key-a, secret: " + secretA + ", from: [192.0.2.0/24], groups: [predict]}\nchatflows:\n  - {id: " + botA + ", keys: [key-a]}\n"
	g, _ := limitedGate(t, nil, file, func(o *proxy.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	for _, tt := range []struct {
		path, client string
		want         int
	}{
		{"/api/v1/prediction/" + botA, "192.0.2.1", 200},
		{"/api/v1/prediction/" + botA, "192.0.3.1", 403},
		{"/api/v1/prediction/" + botA, "192.0.2.1, 198.51.100.1", 403}, // the client is what the trusted proxy saw
		{"/api/v1/vector/upsert/" + botA, "192.0.2.1", 403},
	} {
		if res := g.request(t, "POST", tt.path, "{}", bearerOf(secretA), jsonType, "X-Forwarded-For: "+tt.client); res.status != tt.want {
			t.Errorf("POST %s from %s = %d %q, want %d", tt.path, tt.client, res.status, res.problem.Code, tt.want)
		}
	}
}
