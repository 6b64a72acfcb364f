package proxy_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestDeprecation sees the headers on answers to a secret in its last overlap, and on no other.
func TestDeprecation(t *testing.T) {
	const newSecret = "the-new-secret-0123456789"
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	begin := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	content := func(begun string) string {
		return "version: 1\nkeys:\n- id: k\n  secrets:\n  - {secret: " + secretA + ", not_after: " + end.Format(time.RFC3339) + "}\n  - {secret: " + newSecret + begun + "}\n" +
			"- {id: ends, secret: " + secretB + ", not_after: " + end.Format(time.RFC3339) + "}\nchatflows:\n- {id: " + botA + ", keys: [k, ends]}\n"
	}
	g := newGate(t, nil, withKeys(t, content(", not_before: "+begin.Format(time.RFC3339))))
	header := func(g *gate, secret string) http.Header {
		t.Helper()
		a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secret), jsonType)
		if a.status != 200 {
			t.Fatalf("answer = %d %s", a.status, a.body)
		}
		return a.header
	}
	h := header(g, secretA)
	if got, want := h.Get("Deprecation"), "@"+jsonNumber(int(begin.Unix())); got != want {
		t.Errorf("Deprecation = %q, want %q", got, want)
	}
	if got, want := h.Get("Sunset"), end.Format(http.TimeFormat); got != want {
		t.Errorf("Sunset = %q, want %q", got, want)
	}
	for _, secret := range []string{newSecret, secretB} { // the second ends, but has no successor
		if h := header(g, secret); h.Get("Deprecation") != "" || h.Get("Sunset") != "" {
			t.Errorf("the answer on a secret without a successor has %v", h)
		}
	}
	if h := header(newGate(t, nil, withKeys(t, content(""))), secretA); !strings.HasPrefix(h.Get("Deprecation"), "@") {
		t.Errorf("Deprecation = %q where the new secret says not since when it is valid, want a time", h.Get("Deprecation"))
	}
	future := newGate(t, nil, withKeys(t, content(", not_before: 2200-01-01T00:00:00Z")))
	if h := header(future, secretA); h.Get("Deprecation") != "" {
		t.Errorf("Deprecation = %q though the new secret is not valid yet, want none", h.Get("Deprecation"))
	}
}

// TestCutStreams revokes the key of an open stream: it ends if that is asked for, and goes on
// otherwise. The stream of another key goes on.
func TestCutStreams(t *testing.T) {
	for _, cut := range []bool{true, false} {
		next := make(chan string)
		s := serveGateWith(t, events(next), time.Minute, func(o *proxy.Options) { o.CutRevoked = cut })
		res := stream(t, s.base)
		next <- "one"
		if err := os.WriteFile(s.keys, []byte(strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, body := s.adminGet(t, "POST", "/-/reload"); code != 200 {
			t.Fatalf("reload = %d %s", code, body)
		}
		if cut {
			begin := time.Now()
			if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the stream of a revoked key ended with %q, %v, want a cut", body, err)
			}
			t.Logf("cut after %v", time.Since(begin))
			eventually(t, "the log line", func() bool { return strings.Contains(s.log.String(), `"code":"key_revoked"`) })
			continue
		}
		next <- "two"
		close(next)
		if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "two") {
			t.Errorf("the stream of a revoked key ended with %q, %v, want it to finish", body, err)
		}
	}
}
