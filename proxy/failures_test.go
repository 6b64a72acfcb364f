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

// TestTooManyFailures: after a burst of requests without a valid key, further ones from the address get 429. Other
// addresses do not, and no request with a valid key does.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	const burst = 4
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, keyFile+publicEntry)(o)
		o.FailureLimit = proxy.FailureLimit{Burst: burst, Per: time.Hour}
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	predict := "/api/v1/prediction/" + botA
	from := func(client string, headers ...string) *response {
		return g.request(t, "POST", predict, "", append(headers, "X-Forwarded-For: "+client)...)
	}
	wrong := bearerOf("fl_wrong-0123456789")
	for i := range burst {
		headers := [][]string{nil, {wrong}, {bearerOf(secretExpired)}, {"Authorization: Bearer"}}[i]
		if res := from("192.0.2.1", headers...); res.status != 401 {
			t.Fatalf("failure %d = %d, want 401", i+1, res.status)
		}
		if res := from("192.0.2.1", bearerOf(secretB)); res.status != 403 { // it has a valid key, so it is not counted
			t.Fatalf("another chatflow's key = %d, want 403", res.status)
		}
	}
	for _, headers := range [][]string{nil, {wrong}, {bearerOf(secretExpired)}, {"Authorization: Bearer"}} {
		res := from("192.0.2.1", headers...)
		checkProblem(t, res, 429, problem.TooManyFailures)
		if s, err := strconv.Atoi(res.header.Get("Retry-After")); err != nil || s < 1 || s > 3600/burst {
			t.Errorf("Retry-After = %q, want up to %d s", res.header.Get("Retry-After"), 3600/burst)
		}
	}
	checkProblem(t, g.request(t, "POST", "/api/v1/prediction/"+unlisted, "", "X-Forwarded-For: 192.0.2.1"), 429, problem.TooManyFailures)
	for name, got := range map[string]*response{
		"a valid key":       from("192.0.2.1", bearerOf(secretA)),
		"a public chatflow": g.request(t, "POST", "/api/v1/prediction/"+botPublic, "", "X-Forwarded-For: 192.0.2.1"),
		"a preflight":       g.request(t, "OPTIONS", predict, "", "X-Forwarded-For: 192.0.2.1", "Origin: https://a.example", "Access-Control-Request-Method: POST"),
		"discovery":         g.request(t, "GET", "/api/v1/chatflows-streaming/"+botA, "", "X-Forwarded-For: 192.0.2.1"),
		"a malformed path":  g.request(t, "POST", predict+"%20", "", "X-Forwarded-For: 192.0.2.1"),
		"another address":   from("192.0.2.2"),
	} {
		want := 200
		switch name {
		case "a malformed path":
			want = 400
		case "another address":
			want = 401
		}
		if got.status != want {
			t.Errorf("%s = %d, want %d", name, got.status, want)
		}
	}
	for i := range burst { // many addresses of one network
		if res := from(fmt.Sprintf("2001:db8:1:2::%x", i+1)); res.status != 401 {
			t.Fatalf("failure %d = %d, want 401", i+1, res.status)
		}
	}
	checkProblem(t, from("2001:db8:1:2:ffff::1"), 429, problem.TooManyFailures)
	// Two networks share a counter once in 16,384 times. That does not happen to two other networks at the same time.
	if first, second := from("2001:db8:1:3::1"), from("2001:db8:1:4::1"); first.status != 401 && second.status != 401 {
		t.Errorf("other networks = %d and %d, want 401", first.status, second.status)
	}
}

// TestFailuresAreForgotten: a client that waits gets 401 again.
func TestFailuresAreForgotten(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) { o.FailureLimit = proxy.FailureLimit{Burst: 2, Per: 400 * time.Millisecond} })
	predict := "/api/v1/prediction/" + botA
	testkit.Eventually(t, "429", func() bool { return g.request(t, "POST", predict, "").status == 429 })
	testkit.Eventually(t, "401 again", func() bool { return g.request(t, "POST", predict, "").status == 401 })
}

// TestNoFailureLimit turns the limit off.
func TestNoFailureLimit(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) { o.FailureLimit = proxy.FailureLimit{Burst: -1} })
	for range 2 * proxy.DefaultFailureLimit.Burst {
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, ""); res.status != 401 {
			t.Fatalf("response = %d, want 401", res.status)
		}
	}
}
