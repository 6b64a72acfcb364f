package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestCutStreams revokes the key of an open stream. With CutRevoked the stream is cut, without it the stream goes on.
func TestCutStreams(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{true, false} {
		next := make(chan string)
		s := serveGateWith(t, events(next), time.Minute, func(o *proxy.Options) { o.CutRevoked = cut })
		res := stream(t, s.base)
		next <- "one"
		testkit.ReplaceFile(t, s.keys, strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1))
		if code, body := s.adminGet(t, "POST", "/-/reload"); code != 200 {
			t.Fatalf("reload = %d %s", code, body)
		}
		if cut {
			begin := time.Now()
			if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the stream of a revoked key ended with %q, %v, want a cut", body, err)
			}
			t.Logf("cut after %v", time.Since(begin))
			testkit.Eventually(t, "log line", func() bool { return strings.Contains(s.log.String(), `"code":"key_revoked"`) })
			continue
		}
		next <- "two"
		close(next)
		if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "two") {
			t.Errorf("the stream of a revoked key ended with %q, %v, want it to finish", body, err)
		}
	}
}

// stream sends a request whose response is streamed. The response body is closed when the test ends.
func stream(t *testing.T, base string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/api/v1/prediction/"+botA, strings.NewReader(`{"streaming":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secretA)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// events responds with an event for each value received, and ends when the channel is closed. The value "break" makes it
// break off.
func events(next <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case e, more := <-next:
				if !more {
					return
				}
				if e == "break" {
					panic(http.ErrAbortHandler)
				}
				fmt.Fprintf(w, "data:%s\n\n", e)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

// TestStreamIsNotDelayed reads the response header before there is an event, and each event before the upstream sends the
// next one.
func TestStreamIsNotDelayed(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	g := newGate(t, events(next), nil)
	res := stream(t, g.URL)
	r := bufio.NewReader(res.Body)
	for _, e := range []string{"one", "two", "three"} {
		next <- e
		if got, err := r.ReadString('\n'); got != "data:"+e+"\n" {
			t.Fatalf("read %q, %v, want event %q", got, err, e)
		}
		_, _ = r.ReadString('\n')
	}
	close(next)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %q, %v, want a clean end", rest, err)
	}
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"stream":true`) })
}

// TestBrokenStreamIsCut: when the upstream breaks off, the response must not look complete.
func TestBrokenStreamIsCut(t *testing.T) {
	t.Parallel()
	next := make(chan string, 2)
	g := newGate(t, events(next), nil)
	res := stream(t, g.URL)
	next <- "one"
	next <- "break"
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), "one") {
		t.Errorf("read %q, %v, want the first event and an unexpected end", body, err)
	}
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"code":"upstream_broken"`) })
}

// testBreak has an upstream that breaks off in the middle of a response. What it sent must reach the client, and then the
// response must be cut.
func testBreak(t *testing.T, responses map[string]string) {
	t.Helper()
	for name, response := range responses {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				upstream := newRawUpstream(t)
				upstream.respond = func(rawRequest) (string, bool) { return response, false }
				g := newGate(t, nil, func(o *proxy.Options) { upstream.use(o); change(o) })
				for range atFullSize(100, 20) { // a flush may lose a race
					conn := g.dial(t)
					fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
					res, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil || res.StatusCode != 200 {
						t.Fatalf("response = %v, %v, want the header of the upstream", res, err)
					}
					body, err := io.ReadAll(res.Body)
					want := ""
					if strings.Contains(response, "last word") {
						want = "last word"
					}
					if string(body) != want || !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Fatalf("body = %q, %v, want %q and an unexpected end", body, err, want)
					}
					conn.Close()
				}
			})
		})
	}
}

func TestLastBytesBeforeABreak(t *testing.T) {
	t.Parallel()
	testBreak(t, map[string]string{
		"chunk":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nlast word\r\n",
		"part of a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\nlast word",
		"part of a length": "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nlast word",
		"event":            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nlast word\r\n",
	})
}

func TestHeaderBeforeABreak(t *testing.T) {
	testBreak(t, map[string]string{
		"chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
		"event stream": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
		"half a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9",
	})
}

// TestResetStreamIsCut is the same for a response that is delimited by the end of its connection, which the upstream
// resets. Nothing else tells the client that the response is incomplete.
func TestResetStreamIsCut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reset := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata:one\n\n")
		<-reset
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}()
	g := newGate(t, nil, func(o *proxy.Options) { o.Upstream = mustURL(t, "http://"+l.Addr().String()) })
	res := stream(t, g.URL)
	event := make([]byte, len("data:one\n\n"))
	_, err = io.ReadFull(res.Body, event)
	close(reset)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v after the event, want an unexpected end", rest, err)
	}
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"code":"upstream_broken"`) })
}
