package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestInterimResponse has an upstream that sends early hints (RFC 8297). They reach the client without the headers that
// clients must not get, and do not change the response.
func TestInterimResponse(t *testing.T) {
	t.Parallel()
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
	interim, err := http.ReadResponse(r, nil)
	if err != nil || interim.StatusCode != http.StatusEarlyHints {
		t.Fatalf("first response = %v, %v, want 103", interim, err)
	}
	defer interim.Body.Close()
	if diff := cmp.Diff(http.Header{"Link": {"</x>; rel=preload"}}, interim.Header); diff != "" {
		t.Errorf("early hints (-want +got):\n%s", diff)
	}
	res := readResponse(t, r)
	if res.status != 200 || res.body != "<html>" || res.header.Get("X-Request-Id") == "" {
		t.Errorf("response = %d %q %v, want 200, <html>, a request ID", res.status, res.body, res.header)
	}
	for _, name := range []string{"Content-Type", "Set-Cookie", "Alt-Svc"} {
		if v, ok := res.header[name]; ok {
			t.Errorf("%s = %q, want none", name, v)
		}
	}
}

// TestNoInterimResponseToHTTP10 has a client that speaks HTTP/1.0, as nginx does by default. It takes the first response
// for the final one.
func TestNoInterimResponseToHTTP10(t *testing.T) {
	t.Parallel()
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

// TestNoInterimResponseBeforeContinue has clients that wait for 100 Continue, and an upstream that sends early hints at
// once. net/http writes the 100 from the goroutine that reads the body, so no other interim response may be written
// before it.
func TestNoInterimResponseBeforeContinue(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</x>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.Copy(w, r.Body)
		}, change)
		for range atFullSize(100, 30) {
			c := g.dial(t)
			fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n%s\r\n\r\n", botA, bearerOf(secretA))
			r := bufio.NewReader(c)
			if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusContinue {
				t.Fatalf("first response = %v, %v, want 100 Continue", res, err)
			}
			fmt.Fprint(c, "2\r\nhi\r\n0\r\n\r\n")
			if res := readResponse(t, r); res.status != 200 || res.body != "hi" {
				t.Fatalf("response = %d %q, want 200, hi", res.status, res.body)
			}
		}
	})
}

// TestNoInterimResponseBeforeTheBody is the same for a client that got 100 Continue but has not sent anything yet. It may
// take what comes next for the response.
func TestNoInterimResponseBeforeTheBody(t *testing.T) {
	t.Parallel()
	sent := make(chan struct{})
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		close(sent)
		_, _ = io.Copy(w, r.Body)
	}, func(o *proxy.Options) { o.StandardTransport = true }) // it sends the header before it has the body
	c := g.dial(t)
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\nExpect: 100-continue\r\n%s\r\n\r\n", botA, bearerOf(secretA))
	r := bufio.NewReader(c)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusContinue {
		t.Fatalf("first response = %v, %v, want 100 Continue", res, err)
	}
	<-sent
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read before the body = %q, %v, want nothing", b, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, "hi")
	if res := readResponse(t, r); res.status != 200 || res.body != "hi" {
		t.Errorf("response = %d %q, want 200, hi", res.status, res.body)
	}
}

// TestDeprecation: responses to a secret that has a successor say until when it is valid. Other responses do not.
func TestDeprecation(t *testing.T) {
	t.Parallel()
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
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secret), jsonType)
		if res.status != 200 {
			t.Fatalf("response = %d %s", res.status, res.body)
		}
		return res.header
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
			t.Errorf("header of a response to a secret without a successor = %v, want no Deprecation and no Sunset", h)
		}
	}
	if h := header(newGate(t, nil, withKeys(t, content(""))), secretA); !strings.HasPrefix(h.Get("Deprecation"), "@") {
		t.Errorf("Deprecation = %q where the successor has no not_before, want a time", h.Get("Deprecation"))
	}
	future := newGate(t, nil, withKeys(t, content(", not_before: 2200-01-01T00:00:00Z")))
	if h := header(future, secretA); h.Get("Deprecation") != "" {
		t.Errorf("Deprecation = %q while the successor is not valid yet, want none", h.Get("Deprecation"))
	}
}
