package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestInterimAnswer has a runner that sends early hints (RFC 8297): they reach the caller without what is not
// for callers, and leave the answer as it is.
func TestInterimAnswer(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Link", "</x>; rel=preload")
		h.Set("Set-Cookie", "session=1")
		h.Set("Alt-Svc", `h3=":443"`)
		w.WriteHeader(http.StatusEarlyHints)
		h["Content-Type"] = nil
		_, _ = w.Write([]byte("<html>"))
	}, nil)
	c := g.dial(t)
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n\r\n", botA, bearerOf(secretA))
	r := bufio.NewReader(c)
	hints, err := http.ReadResponse(r, nil)
	if err != nil || hints.StatusCode != http.StatusEarlyHints {
		t.Fatalf("first answer = %v, %v, want 103", hints, err)
	}
	defer hints.Body.Close()
	if diff := cmp.Diff(http.Header{"Link": {"</x>; rel=preload"}}, hints.Header); diff != "" {
		t.Errorf("early hints (-want +got):\n%s", diff)
	}
	a := readAnswer(t, r)
	if a.status != 200 || a.body != "<html>" || a.header.Get("X-Request-Id") == "" {
		t.Errorf("answer = %d %q %v, want 200, <html>, a request ID", a.status, a.body, a.header)
	}
	for _, name := range []string{"Content-Type", "Set-Cookie", "Alt-Svc"} {
		if v, ok := a.header[name]; ok {
			t.Errorf("%s = %q, want none", name, v)
		}
	}
}

// TestInterimAnswerByHTTP10 has the same runner answer a caller by HTTP/1.0, such as nginx is by default: to it, the
// first answer is the answer.
func TestInterimAnswerByHTTP10(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write([]byte("hello"))
	}, nil)
	c := g.dial(t)
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.0\r\n%s\r\n\r\n", botA, bearerOf(secretA))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.0 200 OK\r\n" {
		t.Errorf("first line = %q, %v, want 200", line, err)
	}
}

// TestInterimAnswerBeforeTheBody has callers who wait for leave to send their body, and a runner that sends hints at
// once: net/http gives the leave from the goroutine that reads the body, and must not write the hints meanwhile (the
// race detector tells).
func TestInterimAnswerBeforeTheBody(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.Copy(w, r.Body)
	}, nil)
	for range 100 {
		c := g.dial(t)
		fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n%s\r\n\r\n", botA, bearerOf(secretA))
		r := bufio.NewReader(c)
		for left := true; left; {
			interim, err := http.ReadResponse(r, nil)
			if err != nil || interim.StatusCode >= 200 {
				t.Fatalf("answer before the body = %v, %v, want leave to send it", interim, err)
			}
			left = interim.StatusCode != http.StatusContinue
		}
		fmt.Fprint(c, "2\r\nhi\r\n0\r\n\r\n")
		if a := readAnswer(t, r); a.status != 200 || a.body != "hi" {
			t.Fatalf("answer = %d %q, want 200, hi", a.status, a.body)
		}
	}
}

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
	if got, want := h.Get("Deprecation"), "@"+strconv.FormatInt(begin.Unix(), 10); got != want {
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
