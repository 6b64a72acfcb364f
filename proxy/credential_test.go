package proxy_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy"
)

func TestUpstreamAuthorization(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "credential", "upstream-credential-1\n")
	file, err := keystore.ParseUpstreamAuthorization("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	keys := withKeys(t, keyFile+publicEntry)
	var later atomic.Int64 // how far the clock has moved
	g := newGate(t, nil, func(o *proxy.Options) {
		keys(o)
		o.UpstreamAuthorization = file
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	send := func(method, target, key string) string {
		t.Helper()
		headers := []string{jsonType}
		if key != "" {
			headers = append(headers, bearerOf(key))
		}
		if res := g.request(t, method, target, "", headers...); res.status != 200 {
			t.Fatalf("%s %s = %d %s", method, target, res.status, res.body)
		}
		r, _, _ := g.upstream.last()
		return r.Header.Get("Authorization")
	}
	for _, tt := range []struct{ method, target, key, want string }{
		{"POST", "/api/v1/prediction/" + botA, secretA, "Bearer upstream-credential-1"},
		{"POST", "/api/v1/prediction/" + botKeyed, secretA, "Bearer " + secretA},
		{"POST", "/api/v1/prediction/" + botPublic, "", "Bearer upstream-credential-1"},
		{"GET", "/api/v1/chatflows-streaming/" + botA, "", ""}, // let in for discovery only
		{"GET", "/api/v1/chatflows-streaming/" + botA, "wrong-key-0123456789", ""},
		{"GET", "/api/v1/chatflows-streaming/" + botA, secretB, ""}, // a valid key, for another chatflow
		{"PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", secretA, "Bearer upstream-credential-1"},
		{"GET", "/api/v1/ping", secretA, ""},
	} {
		if got := send(tt.method, tt.target, tt.key); got != tt.want {
			t.Errorf("%s %s with key %q: Authorization = %q, want %q", tt.method, tt.target, tt.key, got, tt.want)
		}
	}
	testkit.ReplaceFile(t, path, "Basic dXNlcjpwYXNz\n")
	later.Store(int64(3 * time.Second)) // the file is read again
	if got, want := send("POST", "/api/v1/prediction/"+botA, secretA), "Basic dXNlcjpwYXNz"; got != want {
		t.Errorf("Authorization after the file has changed = %q, want %q", got, want)
	}

	// When it is written in place, it may still be half a credential.
	began := time.Now()
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	later.Add(int64(3 * time.Second))
	if got := send("POST", "/api/v1/prediction/"+botA, secretA); got == "Bearer half" && time.Since(began) < watch.SettleTime {
		t.Errorf("Authorization just after the file was written to = %q, want that of before", got)
	}
	if err := os.WriteFile(path, []byte("half-and-half"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "whole credential", func() bool {
		later.Add(int64(3 * time.Second))
		return send("POST", "/api/v1/prediction/"+botA, secretA) == "Bearer half-and-half"
	})
}

// TestUpstreamAuthorizationOfTheStart: a file that is being written when the first request comes already has a last good
// content, the one read at the start.
func TestUpstreamAuthorizationOfTheStart(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "credential", "upstream-credential-1\n")
	file, err := keystore.ParseUpstreamAuthorization("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, nil, func(o *proxy.Options) { o.UpstreamAuthorization = file })
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "", jsonType, bearerOf(secretA)); res.status != 200 {
		t.Errorf("status = %d %s, want 200 with the credential of the start", res.status, res.body)
	}
}
