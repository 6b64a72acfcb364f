package proxy_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestCredentialHangs makes the file with the upstream's credential hang. The last good one stays in use, one request at
// a time waits for the file and none forever, and the file is read again once that is possible.
func TestCredentialHangs(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "credential", "upstream-credential-1\n")
	var later atomic.Int64 // how far the clock has moved
	g := newGate(t, nil, func(o *proxy.Options) {
		o.UpstreamAuthorization = keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: path}
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	send := func() string {
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "", jsonType, bearerOf(secretA)); res.status != 200 {
			t.Errorf("request = %d %s, want 200", res.status, res.body)
		}
		r, _, _ := g.upstream.last()
		return r.Header.Get("Authorization")
	}
	const first, second = "Bearer upstream-credential-1", "Bearer upstream-credential-2"
	if got := send(); got != first {
		t.Fatalf("Authorization = %q, want %q", got, first)
	}
	lease := testkit.TakeLease(t, path)
	later.Add(int64(3 * time.Second)) // it is read again
	waits := make(chan string)
	go func() { waits <- send() }()
	testkit.Eventually(t, "request that waits for the file", lease.Waiting)
	for range 10 {
		if got := send(); got != first {
			t.Errorf("Authorization while the file hangs = %q, want %q", got, first)
		}
	}
	if got := <-waits; got != first {
		t.Errorf("Authorization after the timeout = %q, want %q", got, first)
	}
	testkit.Eventually(t, "log line", func() bool {
		later.Add(int64(3 * time.Second))
		return send() == first && strings.Contains(g.log.String(), "the upstream's credential cannot be read")
	})
	later.Add(int64(3 * time.Second))
	if got := send(); got != first {
		t.Errorf("Authorization while the file still hangs = %q, want %q", got, first)
	}
	if n := strings.Count(g.log.String(), "the upstream's credential cannot be read"); n != 1 {
		t.Errorf("log lines about one fault = %d, want 1", n)
	}
	lease.Write(t, "upstream-credential-2")
	lease.Release(t)
	testkit.Eventually(t, "new credential", func() bool {
		later.Add(int64(3 * time.Second))
		return send() == second
	})
}
