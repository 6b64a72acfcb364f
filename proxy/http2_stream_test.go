package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestHTTP2Stream reads each event of a stream before the upstream sends the next one, in parallel with another request
// on the same connection. When the upstream breaks off, the stream must not look complete.
func TestHTTP2Stream(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	streamed := events(next)
	g := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, botA) {
			streamed(w, r)
		}
	}, time.Minute, nil)
	client := g.client(t)
	for _, end := range []string{"", "break"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.base+"/api/v1/prediction/"+botA, strings.NewReader("{}"))
		req.Header.Set("Authorization", "Bearer "+secretOps)
		res, err := client.Do(req)
		if err != nil || res.ProtoMajor != 2 || res.StatusCode != 200 {
			t.Fatalf("stream = %v, %v, want 200 by HTTP/2", res, err)
		}
		for _, e := range []string{"one", "two"} {
			next <- e
			want := "data:" + e + "\n\n"
			got := make([]byte, len(want))
			if _, err := io.ReadFull(res.Body, got); string(got) != want {
				t.Fatalf("read %q, %v, want %q", got, err, want)
			}
			other, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.base+"/api/v1/prediction/"+botB, strings.NewReader("{}"))
			other.Header.Set("Authorization", "Bearer "+secretB)
			if res, err := client.Do(other); err != nil || res.StatusCode != 200 {
				t.Fatalf("request beside the stream = %v, %v, want 200", res, err)
			}
		}
		if end == "" {
			next <- "three"
			time.AfterFunc(0, func() { next <- "break" })
		} else {
			next <- end
		}
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil {
			t.Error("read of a stream that the upstream broke off = nil, want an error")
		}
	}
	if n := strings.Count(g.log.String(), `"code":"upstream_broken"`); n != 2 {
		t.Errorf("%d streams are logged as broken, want 2", n)
	}
}

// TestHTTP2Drain: clients get GOAWAY as soon as a drain begins, streams run to their end, and new requests are refused.
func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	g := serveTLS(t, events(next), time.Minute, nil)
	idle, busy := g.dialH2(t), g.dialH2(t)
	idle.response(t, idle.send(t, post("/"), true))
	id := busy.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)
	next <- "one"
	g.stop()
	for name, c := range map[string]*h2{"idle": idle, "busy": busy} {
		for told := false; !told; {
			f, err := c.framer.ReadFrame()
			if err != nil {
				t.Fatalf("the %s connection: %v, want GOAWAY", name, err)
			}
			c.acknowledge(f)
			if away, ok := f.(*http2.GoAwayFrame); ok {
				if told = true; away.ErrCode != http2.ErrCodeNo {
					t.Errorf("GOAWAY of the %s connection = %v, want no error", name, away)
				}
			}
		}
	}
	first, err := tls.Dial("tcp", g.address, g.ca.Client()) // clients that connect now still get a response, over HTTP/1 too
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	fmt.Fprint(first, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
	checkProblem(t, readResponse(t, first), 503, problem.Draining)
	late := g.dialH2(t)
	if res := late.response(t, late.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)); res.status != 503 || res.problem.Code != string(problem.Draining) {
		t.Errorf("request during the drain = %d %s, want 503 draining", res.status, res.body)
	}
	next <- "two"
	close(next)
	if res := busy.response(t, id); res.reset != nil || !strings.HasSuffix(res.body, "data:two\n\n") {
		t.Errorf("the rest of the stream = %q, reset %v, want the second event and the end", res.body, res.reset)
	}
	select {
	case err := <-g.ended:
		if err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Serve did not return after the last stream")
	}
}

// TestHTTP2DrainCut cuts a stream when the time to drain is over.
func TestHTTP2DrainCut(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	g := serveTLS(t, events(next), 100*time.Millisecond, nil)
	c := g.dialH2(t)
	id := c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)
	next <- "one"
	g.stop()
	if res := c.response(t, id); res.reset == nil {
		t.Errorf("the stream ended with %q, want a reset", res.body)
	}
	if err := <-g.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if !strings.Contains(g.log.String(), `"code":"drain_timeout"`) {
		t.Errorf("log = %s, want that the stream was cut", g.log)
	}
}

// TestHTTP2EarlyResponse has an upstream that responds and leaves the body unread. The connection must stay open.
func TestHTTP2EarlyResponse(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.WriteHeader(http.StatusTeapot)
			}
		}, time.Minute, change)
		c := g.dialH2(t)
		for range 20 {
			id := c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA), field{"content-length", fmt.Sprint(2 * begun)}), false)
			_ = c.framer.WriteData(id, false, make([]byte, begun))
			if res := c.response(t, id); res.status != http.StatusTeapot || res.goAway {
				t.Fatalf("response = %d, reset %v, GOAWAY %t, want the upstream's, and a connection that stays", res.status, res.reset, res.goAway)
			}
		}
		c.alive(t)
		testkit.Eventually(t, "end of the requests", func() bool { return g.open() == 0 })
	})
}

// TestHTTP2RapidReset resets thousands of requests as soon as they are sent. No more run at once than one connection may
// have open, and the gate goes on serving.
func TestHTTP2RapidReset(t *testing.T) {
	t.Parallel()
	g := serveTLS(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, time.Minute, func(o *proxy.Options) { o.FailureLimit.Burst = -1 })
	c := g.dialH2(t)
	go func() { // nobody looks at the responses
		for {
			if _, err := c.framer.ReadFrame(); err != nil {
				return
			}
		}
	}()
	for range atFullSize(3000, 1000) {
		id := c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)
		if err := c.framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			break // the gate has closed the connection
		}
		if n := g.open(); n > 100 {
			t.Fatalf("%d requests are open, want 100 at most", n)
		}
	}
	c.Close()
	testkit.Eventually(t, "end of the requests", func() bool { return g.open() == 0 })
	if a := g.dialH2(t); a.response(t, a.send(t, post("/"), true)).status != 404 {
		t.Error("the gate does not serve another connection")
	}
}

// TestHTTP2ResetDuringInterimResponses resets streams while interim responses are on their way. When ReverseProxy clears
// the header map, net/http may still be reading it to write one of them. The race detector would notice.
func TestHTTP2ResetDuringInterimResponses(t *testing.T) {
	t.Parallel()
	g := serveTLS(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		for range 50 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}, time.Minute, nil)
	c := g.dialH2(t)
	for range atFullSize(300, 50) {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		id := c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)
		for {
			f, err := c.framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			c.acknowledge(f)
			if h, ok := f.(*http2.MetaHeadersFrame); ok && f.Header().StreamID == id {
				if status, length := h.PseudoValue("status"), h2field(h, "content-length"); status != "103" || length != "" {
					t.Fatalf("first response = %s with Content-Length %q, want 103 without", status, length)
				}
				break
			}
		}
		if err := c.framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "end of the requests", func() bool { return g.open() == 0 })
}

// h2field returns the value of a header field, or "".
func h2field(h *http2.MetaHeadersFrame, name string) string {
	for _, f := range h.RegularFields() {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// TestHTTP2Limits reads the settings that the gate sends.
func TestHTTP2Limits(t *testing.T) {
	t.Parallel()
	g := serveTLS(t, nil, time.Minute, nil)
	c := g.dialH2(t)
	f, err := c.framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings := f.(*http2.SettingsFrame)
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 100, http2.SettingInitialWindowSize: 256 << 10, http2.SettingMaxHeaderListSize: 16<<10 + 320,
	} {
		if got, ok := settings.Value(id); !ok || got != want {
			t.Errorf("setting %v = %d, want %d", id, got, want)
		}
	}
	if _, ok := settings.Value(http2.SettingEnableConnectProtocol); ok {
		t.Error("the gate offers extended CONNECT")
	}
}

// TestHTTP2Trailers: an upstream's trailers reach the client, except those that clients must not get. A client's trailers
// do not reach the upstream.
func TestHTTP2Trailers(t *testing.T) {
	t.Parallel()
	g := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum, Set-Cookie")
		w.Header().Set("X-Got", fmt.Sprint(len(r.Trailer)))
		_, _ = io.WriteString(w, "{}")
		w.Header().Set("X-Sum", "7")
		w.Header().Set("Set-Cookie", "session=1")
	}, time.Minute, nil)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.base+"/api/v1/prediction/"+botA, strings.NewReader("{}"))
	req.ContentLength = -1
	req.Header.Set("Authorization", "Bearer "+secretA)
	req.Trailer = http.Header{"X-Request-From": {"internal"}}
	res, err := g.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.Header.Get("X-Got") != "0" || res.Trailer.Get("X-Sum") != "7" || res.Trailer.Get("Set-Cookie") != "" {
		t.Errorf("trailers = %s at the upstream, %v at the client, want none, and X-Sum alone", res.Header.Get("X-Got"), res.Trailer)
	}
}

// TestHTTP2BadTrailers sends a trailer field that is not allowed there. The request ends, also at the upstream.
func TestHTTP2BadTrailers(t *testing.T) {
	t.Parallel()
	g := serveTLS(t, nil, time.Minute, nil)
	c := g.dialH2(t)
	id := c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA), field{"trailer", "authorization"}), false)
	_ = c.framer.WriteData(id, false, []byte("{}"))
	c.next = id
	c.send(t, []field{h2bearer(secretB)}, true)
	if res := c.response(t, id); res.reset == nil {
		t.Errorf("response = %d, want the stream reset", res.status)
	}
	testkit.Eventually(t, "end of the request", func() bool { return g.open() == 0 })
	c.alive(t)
}

// TestHTTP2ClientLeaves resets a request while the upstream works on it. It must be cancelled there.
func TestHTTP2ClientLeaves(t *testing.T) {
	t.Parallel()
	reached, left := make(chan struct{}), make(chan struct{})
	g := serveTLS(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
		close(left)
	}, time.Minute, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, g.base+"/api/v1/prediction/"+botA, strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+secretA)
	if res, err := g.client(t).Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("response = %v, %v, want none", res, err)
	}
	<-left
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"code":"client_closed"`) })
}
