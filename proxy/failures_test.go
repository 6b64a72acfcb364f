package proxy_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestTooManyFailures: after a burst of requests without a valid key an address is answered 429, and
// nobody else is; a request with a valid key never is.
func TestTooManyFailures(t *testing.T) {
	const burst = 4
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, keyFile+publicEntry)(o)
		o.FailureLimit = proxy.FailureLimit{Burst: burst, Per: time.Hour}
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	predict := "/api/v1/prediction/" + botA
	from := func(client string, headers ...string) *answer {
		return g.request(t, "POST", predict, "", append(headers, "X-Forwarded-For: "+client)...)
	}
	wrong := bearerOf("fl_wrong-0123456789")
	for i := range burst {
		headers := [][]string{nil, {wrong}, {bearerOf(secretExpired)}, {"Authorization: Bearer"}}[i]
		if a := from("192.0.2.1", headers...); a.status != 401 {
			t.Fatalf("failure %d = %d, want 401", i+1, a.status)
		}
		if a := from("192.0.2.1", bearerOf(secretB)); a.status != 403 { // has a valid key, is not counted
			t.Fatalf("another chatflow's key = %d, want 403", a.status)
		}
	}
	for _, headers := range [][]string{nil, {wrong}, {bearerOf(secretExpired)}, {"Authorization: Bearer"}} {
		a := from("192.0.2.1", headers...)
		checkProblem(t, a, 429, problem.TooManyFailures)
		if s, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || s < 1 || s > 3600/burst {
			t.Errorf("Retry-After = %q, want up to %d s", a.header.Get("Retry-After"), 3600/burst)
		}
	}
	checkProblem(t, g.request(t, "POST", "/api/v1/prediction/"+unlisted, "", "X-Forwarded-For: 192.0.2.1"), 429, problem.TooManyFailures)
	for name, got := range map[string]*answer{
		"a valid key":             from("192.0.2.1", bearerOf(secretA)),
		"a public chatflow":       g.request(t, "POST", "/api/v1/prediction/"+botPublic, "", "X-Forwarded-For: 192.0.2.1"),
		"a preflight":             g.request(t, "OPTIONS", predict, "", "X-Forwarded-For: 192.0.2.1", "Origin: https://a.example", "Access-Control-Request-Method: POST"),
		"discovery":               g.request(t, "GET", "/api/v1/chatflows-streaming/"+botA, "", "X-Forwarded-For: 192.0.2.1"),
		"a malformed path, still": g.request(t, "POST", predict+"%20", "", "X-Forwarded-For: 192.0.2.1"),
		"another address":         from("192.0.2.2"),
	} {
		want := 200
		switch name {
		case "a malformed path, still":
			want = 400
		case "another address":
			want = 401
		}
		if got.status != want {
			t.Errorf("%s = %d, want %d", name, got.status, want)
		}
	}
	for i := range burst { // one network, many addresses
		if a := from(fmt.Sprintf("2001:db8:1:2::%x", i+1)); a.status != 401 {
			t.Fatalf("failure %d = %d, want 401", i+1, a.status)
		}
	}
	checkProblem(t, from("2001:db8:1:2:ffff::1"), 429, problem.TooManyFailures)
	if a := from("2001:db8:1:3::1"); a.status != 401 {
		t.Errorf("another network = %d, want 401", a.status)
	}
}

// TestFailuresAreForgotten: a client that waits gets 401 again, one failure at a time.
func TestFailuresAreForgotten(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) { o.FailureLimit = proxy.FailureLimit{Burst: 2, Per: 400 * time.Millisecond} })
	predict := "/api/v1/prediction/" + botA
	testkit.Eventually(t, "429", func() bool { return g.request(t, "POST", predict, "").status == 429 })
	testkit.Eventually(t, "401 again", func() bool { return g.request(t, "POST", predict, "").status == 401 })
}

// TestNoFailureLimit turns the limit off.
func TestNoFailureLimit(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) { o.FailureLimit = proxy.FailureLimit{Burst: -1} })
	for range 2 * proxy.DefaultFailureLimit.Burst {
		if a := g.request(t, "POST", "/api/v1/prediction/"+botA, ""); a.status != 401 {
			t.Fatalf("answer = %d, want 401", a.status)
		}
	}
}
