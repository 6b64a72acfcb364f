package proxy_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestForwardedRequest compares the request at the upstream with the client's.
func TestForwardedRequest(t *testing.T) {
	t.Parallel()
	predict := "/api/v1/prediction/" + botA
	tests := []struct {
		name, method, target, body string
		headers                    []string
		want                       string // method and target that reach the upstream
	}{
		{"prediction", "POST", predict, `{"question":"hi"}`, []string{bearerOf(secretA)}, "POST " + predict},
		{"scheme in lower case", "POST", predict, `{}`, []string{"Authorization: bearer " + secretA}, "POST " + predict},
		{"key for all, listed", "POST", predict, `{}`, []string{bearerOf(secretOps)}, "POST " + predict},
		{"key for all, unlisted", "POST", "/api/v1/prediction/" + unlisted, `{}`, []string{bearerOf(secretOps)}, "POST /api/v1/prediction/" + unlisted},
		{"query is dropped", "POST", predict + "?x=%3Cscript%3E&chatflowId=" + botB, `{}`, []string{bearerOf(secretA)}, "POST " + predict},
		{"abort", "PUT", "/api/v1/chatmessage/abort/" + botA + "/chat-1", "", []string{bearerOf(secretA)}, "PUT /api/v1/chatmessage/abort/" + botA + "/chat-1"},
		{
			"file, query in another order", "GET", "/api/v1/get-upload-file?fileName=a%20%C3%BC.txt&chatId=c1&chatflowId=" + botA, "",
			[]string{bearerOf(secretA)},
			"GET /api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c1&fileName=a%20%C3%BC.txt",
		},
		{"ping", "GET", "/api/v1/ping", "", nil, "GET /api/v1/ping"},
		{"discovery without a key", "GET", "/api/v1/chatflows-streaming/" + botA, "", nil, "GET /api/v1/chatflows-streaming/" + botA},
		{"leads, as the widget writes it", "POST", "/api/v1/leads/", `{"chatflowid":"` + botA + `","email":"x"}`, []string{bearerOf(secretA)}, "POST /api/v1/leads"},
		{"chatflow in a body, byte for byte", "POST", "/api/v1/leads", " {\t\"a\" : [1e0, \"\\u0041\"],\n\"chatflow\\u0069d\":\"" + botA + "\" , \"b\":-0 }\r\n", []string{bearerOf(secretA)}, "POST /api/v1/leads"},
		{"feedback", "POST", "/api/v1/feedback/" + botA, `{"chatflowid":"` + botA + `"}`, []string{bearerOf(secretA)}, "POST /api/v1/feedback/" + botA},
		{"feedback changed, any key", "PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", `{}`, []string{bearerOf(secretB)}, "PUT /api/v1/feedback/00000000-0000-4000-8000-0000000000ff"},
		{"webhook with a query", "PATCH", "/api/v1/webhook/" + botA + "?a=1&b=%3Cx%3E&a=2&c", `{}`, []string{bearerOf(secretA)}, "PATCH /api/v1/webhook/" + botA + "?a=1&b=%3Cx%3E&a=2&c"},
		{"preflight", "OPTIONS", predict, "", []string{"Origin: https://x.example", "Access-Control-Request-Method: POST"}, "OPTIONS " + predict},
	}
	g := newGate(t, nil, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, before := g.upstream.last()
			res := g.request(t, tt.method, tt.target, tt.body, append(tt.headers, jsonType)...)
			r, body, n := g.upstream.last()
			if res.status != 200 || n != before+1 {
				t.Fatalf("response = %d, %d requests reached the upstream; want 200, 1; body %s", res.status, n-before, res.body)
			}
			if got := r.Method + " " + r.RequestURI; got != tt.want || body != tt.body {
				t.Errorf("request at the upstream = %s with body %q, want %s with %q", got, body, tt.want, tt.body)
			}
			if got := r.Header.Get("Authorization"); got != "" {
				t.Errorf("Authorization at the upstream = %q, want none", got)
			}
		})
	}
}

// TestUploadIsStreamed sends a large body in pieces. The upstream must have the first one before the second is sent.
func TestUploadIsStreamed(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	first, done := make(chan struct{}), make(chan int64, 1)
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.ReadFull(r.Body, make([]byte, 1000))
		close(first)
		rest, _ := io.Copy(io.Discard, r.Body)
		done <- int64(n) + rest
	}, nil)
	body, w := io.Pipe()
	go func() {
		chunk := make([]byte, 1<<20)
		_, _ = rand.Read(chunk)
		for i := range size / len(chunk) {
			if i == 1 {
				<-first
			}
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/api/v1/attachments/"+botA+"/chat-1", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Header.Set("Authorization", "Bearer "+secretA)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := <-done; got != size || res.StatusCode != 200 {
		t.Errorf("response = %d, %d bytes reached the upstream; want 200, %d", res.StatusCode, got, size)
	}
}

func TestClientGoneCancelsUpstream(t *testing.T) {
	t.Parallel()
	reached, gone := make(chan struct{}), make(chan struct{})
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
		close(gone)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/api/v1/prediction/"+botA, strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+secretA)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("the request ended with %v, want canceled", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the request at the upstream was not cancelled")
	}
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(g.log.String(), `"code":"client_closed"`) })
}

// unreachable has an upstream where nothing listens. A port that was closed may be another test's by now.
func unreachable(o *proxy.Options) { o.Upstream = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} }

func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	t.Run("unreachable", func(t *testing.T) {
		g := newGate(t, nil, unreachable)
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		checkProblem(t, res, 502, problem.UpstreamUnreachable)
	})
	t.Run("breaks off before its response", func(t *testing.T) {
		g := newGate(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil)
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		checkProblem(t, res, 502, problem.UpstreamUnreachable)
	})
	t.Run("never responds", func(t *testing.T) {
		g := newGate(t, func(_ http.ResponseWriter, r *http.Request) { untilGone(r) },
			func(o *proxy.Options) { o.UpstreamTimeout = 50 * time.Millisecond })
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		checkProblem(t, res, 504, problem.UpstreamTimeout)
	})
	t.Run("chunked body too large", func(t *testing.T) {
		g := newGate(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
			func(o *proxy.Options) { o.MaxBody = 10 })
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "", bearerOf(secretA), jsonType,
			"Transfer-Encoding: chunked", "", "14\r\n01234567890123456789\r\n0\r\n")
		checkProblem(t, res, 413, problem.BodyTooLarge)
	})
}

// TestClientThatLeavesLeavesNothingBehind has clients that leave in the middle of a response. The rest of it must not
// reach others.
func TestClientThatLeavesLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		if string(question) == "leaves" {
			w.Header().Set("Content-Length", "12")
			_, _ = io.WriteString(w, "stolen")
			_ = http.NewResponseController(w).Flush()
			<-next
			_, _ = io.WriteString(w, "stolen")
			return
		}
		_, _ = w.Write(question)
	}, nil)
	for i := range 5 {
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 6\r\n\r\nleaves", botA, bearerOf(secretA))
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		next <- struct{}{}
		own := fmt.Sprintf("own-%d", i)
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, own, bearerOf(secretA)); res.status != 200 || res.body != own {
			t.Errorf("response to %q = %d %q, want its own", own, res.status, res.body)
		}
	}
}

// TestRequestTrailers sends trailers, announced and not, on a route whose body is streamed and on one whose body the gate
// reads. Not a byte of them may reach the upstream.
func TestRequestTrailers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, announced string }{
		{"announced", "X-Request-From, Authorization, X-Forwarded-For, X_Request_From, X-Benign"},
		{"not announced", ""},
	} {
		for target, body := range map[string]string{
			"/api/v1/prediction/" + botA: `{"question":"hi"}`,
			"/api/v1/leads":              `{"chatflowid":"` + botA + `"}`,
		} {
			t.Run(tt.name+" "+target, func(t *testing.T) {
				upstream := newRawUpstream(t)
				g := newGate(t, nil, upstream.use)
				trailer := "Trailer: " + tt.announced
				if tt.announced == "" {
					trailer = "X-Filler: x"
				}
				res := g.request(t, "POST", target, "", bearerOf(secretA), jsonType, trailer, "TE: trailers", "Transfer-Encoding: chunked", "",
					fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Request-From: internal\r\nAuthorization: evil\r\nX-Forwarded-For: evil\r\nX_Request_From: evil\r\nX-Benign: evil", len(body), body), "")
				if res.status != 200 {
					t.Fatalf("response = %d %s, want 200", res.status, res.body)
				}
				requests := upstream.received(t)
				if len(requests) != 1 || requests[0].body != body || requests[0].fault != "" {
					t.Fatalf("at the upstream = %+v, want one request with body %s", requests, body)
				}
				if raw := requests[0].header + requests[0].trailers; strings.Contains(raw, "Trailer:") || strings.Contains(raw, "evil") || strings.Contains(raw, "internal") {
					t.Errorf("bytes at the upstream = %q, want no trailer in them", raw)
				}
			})
		}
	}
}

// TestLargeResponse has a response that is larger than all buffers and all limits on headers, from an upstream that does
// not read the request.
func TestLargeResponse(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, size) }, change)
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA)); res.status != 200 || len(res.body) != size {
			t.Errorf("response = %d with %d bytes, want 200 with %d", res.status, len(res.body), size)
		}
	})
}

// TestUpstreamThatDoesNotRead has an upstream that accepts a connection and never reads from it.
func TestUpstreamThatDoesNotRead(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 10) // the garbage collector would close them otherwise
	t.Cleanup(func() {
		l.Close()
		for len(accepted) > 0 {
			(<-accepted).Close()
		}
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	g := newGate(t, nil, func(o *proxy.Options) {
		o.Upstream = mustURL(t, "http://"+l.Addr().String())
		o.UpstreamTimeout = 200 * time.Millisecond
	})
	conn := g.dial(t)
	go func() {
		const size = 40 << 20
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), size)
		_, _ = io.CopyN(conn, zeros{}, size)
	}()
	checkProblem(t, readResponse(t, conn), 504, problem.UpstreamTimeout)
}
