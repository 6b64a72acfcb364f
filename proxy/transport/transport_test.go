package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // where net/http's Transport writes what servers send unasked
	os.Exit(m.Run())
}

// both returns the transports that must behave alike, by name.
func both(t *testing.T) map[string]http.RoundTripper {
	t.Helper()
	var d net.Dialer
	own := &Transport{Dial: d.DialContext}
	standard := &http.Transport{DialContext: d.DialContext, DisableCompression: true}
	t.Cleanup(own.CloseIdleConnections)
	t.Cleanup(standard.CloseIdleConnections)
	return map[string]http.RoundTripper{"own": own, "standard": standard}
}

// scripted is a server that reads the head of a request and answers with given bytes.
type scripted struct {
	net.Listener
	answer func(head *http.Request, r *bufio.Reader, c net.Conn)
}

func script(t *testing.T, answer func(head *http.Request, r *bufio.Reader, c net.Conn)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{l, answer}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				s.answer(req, r, c)
			}()
		}
	}()
	return s
}

// outcome is what comes of a request.
type outcome struct {
	Interim []int
	Status  int
	Header  http.Header
	Body    string
	BodyErr bool
	Trailer http.Header
	Err     bool
	Length  int64
	Close   bool
}

// exchangeBy sends a request by a transport and reads the answer.
func exchangeBy(t *testing.T, rt http.RoundTripper, req *http.Request) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(req.Context(), 10*time.Second)
	defer cancel()
	var o outcome
	var mu sync.Mutex
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		o.Interim = append(o.Interim, code)
		return nil
	}})
	res, err := rt.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return outcome{Err: true}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	mu.Lock()
	defer mu.Unlock()
	o.Status, o.Header, o.Body, o.BodyErr, o.Trailer, o.Length, o.Close = res.StatusCode, res.Header, string(body), err != nil, res.Trailer, res.ContentLength, res.Close
	return o
}

// answers are what a server may send, whole or not.
var answers = map[string]string{
	"length":                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
	"chunked":                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"trailers":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	"until the end":            "HTTP/1.1 200 OK\r\n\r\nhello",
	"HTTP/1.0":                 "HTTP/1.0 200 OK\r\n\r\nhello",
	"HTTP/1.0 with a length":   "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"to be closed":             "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
	"no content":               "HTTP/1.1 204 No Content\r\n\r\n",
	"not modified":             "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"empty":                    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"interim":                  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"cut in the head":          "HTTP/1.1 200 OK\r\nContent-Le",
	"cut in the body":          "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
	"cut in a chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
	"cut before the last":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"bad chunk":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\nhello\r\n0\r\n\r\n",
	"nothing":                  "",
	"no HTTP":                  "SSH-2.0-x\r\n\r\n",
	"status 0":                 "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nhi",
	"status 99":                "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi",
	"bad status":               "HTTP/1.1 2x0 OK\r\n\r\n",
	"two lengths":              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"the same length twice":    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"length and chunks":        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"unknown coding":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
	"negative length":          "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
	"header without colon":     "HTTP/1.1 200 OK\r\nX\r\n\r\n",
	"folded header":            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
	"bare line feeds":          "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"more than it says":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and HTTP/1.1 200 OK\r\n\r\n",
	"head larger than is read": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 12<<20) + "\r\n\r\n",
	"early hints without end":  strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 300_000),
}

// TestAnswersAsStandard compares what comes of a server's answers with net/http's Transport.
func TestAnswersAsStandard(t *testing.T) {
	for name, answer := range answers {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(method+" "+name, func(t *testing.T) {
				srv := script(t, func(_ *http.Request, _ *bufio.Reader, c net.Conn) { _, _ = io.WriteString(c, answer) })
				got := map[string]outcome{}
				for name, rt := range both(t) {
					req, err := http.NewRequest(method, "http://"+srv.Addr().String()+"/x?y", strings.NewReader("question"))
					if err != nil {
						t.Fatal(err)
					}
					if method != "POST" {
						req.Body, req.ContentLength = nil, 0
					}
					got[name] = exchangeBy(t, rt, req)
				}
				if diff := cmp.Diff(got["standard"], got["own"]); diff != "" {
					t.Errorf("standard -, own +:\n%.2000s", diff)
				}
			})
		}
	}
}

// TestRequestsAsStandard compares what a server gets.
func TestRequestsAsStandard(t *testing.T) {
	type received struct {
		Line    string
		Host    string
		Header  http.Header
		Coding  []string
		Length  int64
		Body    string
		BodyErr bool
	}
	long := strings.Repeat("0123456789", 20_000)
	for name, change := range map[string]func(*http.Request){
		"GET":             func(*http.Request) {},
		"GET with a body": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
		"DELETE":          func(r *http.Request) { r.Method = "DELETE" },
		"POST, empty":     func(r *http.Request) { r.Method = "POST" },
		"PUT, no body":    func(r *http.Request) { r.Method, r.Body = "PUT", http.NoBody },
		"PATCH": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "PATCH", io.NopCloser(strings.NewReader("abc")), 3
		},
		"POST, short": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader("abc")), 3
		},
		"POST, long": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader(long)), int64(len(long))
		},
		"POST, a byte each": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(&slow{s: long[:300]}), 300
		},
		"POST, no length": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader(long)), -1
		},
		"POST, no length and nothing": func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(&slow{}), -1
		},
		"host": func(r *http.Request) { r.Host = "flows.example.com" },
		"headers": func(r *http.Request) {
			r.Header = http.Header{"A": {"1", "2"}, "B": {""}, "C": {"x y"}, "User-Agent": {"x"}}
		},
		"no user agent": func(r *http.Request) { r.Header["User-Agent"] = []string{""} },
		"user agent":    func(r *http.Request) { r.Header.Set("User-Agent", "x") },
		"framing headers": func(r *http.Request) {
			r.Header.Set("Content-Length", "7")
			r.Header.Set("Transfer-Encoding", "chunked")
		},
		"query": func(r *http.Request) { r.URL.RawQuery = "a=%20&b" },
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			got := map[string]received{}
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				got[r.Header.Get("By")] = received{r.Method + " " + r.RequestURI, r.Host, r.Header, r.TransferEncoding, r.ContentLength, string(body), err != nil}
				r.Header.Del("By")
			}))
			defer srv.Close()
			for by, rt := range both(t) {
				req, err := http.NewRequest("GET", srv.URL+"/path", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("User-Agent", "test")
				change(req)
				req.Header.Set("By", by)
				if o := exchangeBy(t, rt, req); o.Status != 200 {
					t.Fatalf("%s: %+v", by, o)
				}
			}
			if diff := cmp.Diff(got["standard"], got["own"]); diff != "" {
				t.Errorf("standard -, own +:\n%.2000s", diff)
			}
		})
	}
}

// slow is a reader that gives a byte at a time.
type slow struct{ s string }

func (r *slow) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	p[0], r.s = r.s[0], r.s[1:]
	return 1, nil
}

// TestUnsendable has requests that would be two when they were sent.
func TestUnsendable(t *testing.T) {
	var dialed atomic.Int64
	rt := &Transport{Dial: func(context.Context, string, string) (net.Conn, error) {
		dialed.Add(1)
		return nil, errors.New("dialed")
	}}
	for name, change := range map[string]func(*http.Request){
		"method":       func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" },
		"header value": func(r *http.Request) { r.Header.Set("X", "a\r\nY: b") },
		"header name":  func(r *http.Request) { r.Header["X\r\nY"] = []string{"b"} },
		"host":         func(r *http.Request) { r.Host = "a\r\nX: y" },
		"target":       func(r *http.Request) { r.URL.Opaque = "/a b" },
		"short body":   func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 2 },
		"failing body": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(failing{}), 2 },
	} {
		t.Run(name, func(t *testing.T) {
			req, _ := http.NewRequest("POST", "http://127.0.0.1:1/", nil)
			change(req)
			res, err := rt.RoundTrip(req)
			if err == nil {
				res.Body.Close()
				t.Error("it was sent")
			}
			if dialed.Load() != 0 {
				t.Error("a connection was opened for it")
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("failing") }

// counted is a server that counts its connections.
func counted(t *testing.T, h http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = &atomic.Int64{}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, connections
}

func post(t *testing.T, rt http.RoundTripper, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// TestConnectionIsReused: one connection serves requests one after the other, whatever their form.
func TestConnectionIsReused(t *testing.T) {
	url, connections := counted(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/chunked":
			body, _ := io.ReadAll(r.Body)
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(body)
		default:
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		}
	})
	rt := both(t)["own"]
	for i := range 30 {
		path, body := []string{"/none", "/chunked", "/length"}[i%3], strings.Repeat("x", i*1000)
		want := body
		if path == "/none" {
			want = ""
		}
		if status, got, err := post(t, rt, url+path, body); err != nil || got != want {
			t.Fatalf("request %d = %d, %d bytes, %v; want %d bytes", i, status, len(got), err, len(want))
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestConnectionIsNotReused: after these a connection is in a state that nobody knows.
func TestConnectionIsNotReused(t *testing.T) {
	for name, answer := range map[string]string{
		"to be closed":      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"more than it says": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
		"bad chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int64
			srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
				connections.Add(1)
				_, _ = io.WriteString(c, answer)
				_, _ = io.Copy(io.Discard, r) // stays open
			})
			rt := both(t)["own"]
			for range 2 {
				if _, body, _ := post(t, rt, "http://"+srv.Addr().String(), "x"); body != "hi" {
					t.Errorf("body = %q, want hi", body)
				}
			}
			if n := connections.Load(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

// TestForgedAnswer has a server that sends a second answer after the first was read: the next caller must not
// get it.
func TestForgedAnswer(t *testing.T) {
	next := make(chan struct{})
	var connections atomic.Int64
	srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
		if connections.Add(1) > 1 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		<-next
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
		next <- struct{}{}
		_, _ = io.Copy(io.Discard, r)
	})
	rt := both(t)["own"]
	if _, body, err := post(t, rt, "http://"+srv.Addr().String(), "x"); err != nil || body != "hi" {
		t.Fatalf("first answer = %q, %v", body, err)
	}
	next <- struct{}{}
	<-next
	if _, body, err := post(t, rt, "http://"+srv.Addr().String(), "x"); err != nil || body != "true" {
		t.Errorf("second answer = %q, %v, want true", body, err)
	}
}

// TestClosedWhileIdle: a connection that the server has closed is not used, not even for a POST.
func TestClosedWhileIdle(t *testing.T) {
	closed := make(chan struct{})
	srv := script(t, func(r *http.Request, _ *bufio.Reader, c net.Conn) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		c.Close()
		closed <- struct{}{}
	})
	rt := both(t)["own"]
	for i := range 20 {
		if _, body, err := post(t, rt, "http://"+srv.Addr().String(), "x"); err != nil || body != "hi" {
			t.Fatalf("answer %d = %q, %v, want hi", i+1, body, err)
		}
		<-closed
	}
}

// TestIdleConnectionsAreClosed in time, by what the server announces.
func TestIdleConnectionsAreClosed(t *testing.T) {
	gone := make(chan time.Time, 1)
	url, _ := counted(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", "timeout=1") })
	own := both(t)["own"].(*Transport)
	dial := own.Dial
	own.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return &closeTold{c, gone}, err
	}
	begin := time.Now()
	if status, _, err := post(t, own, url, "x"); err != nil || status != 200 {
		t.Fatal(status, err)
	}
	select {
	case at := <-gone:
		if at.Sub(begin) < 400*time.Millisecond {
			t.Errorf("closed after %v, want half a second", at.Sub(begin))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the idle connection is still open after 10 s")
	}
	own.pool.mu.Lock()
	defer own.pool.mu.Unlock()
	if len(own.pool.idle) != 0 {
		t.Errorf("%d connections are kept, want none", len(own.pool.idle))
	}
}

type closeTold struct {
	net.Conn
	at chan time.Time
}

func (c *closeTold) Close() error {
	select {
	case c.at <- time.Now():
	default:
	}
	return c.Conn.Close()
}

func TestKeepFor(t *testing.T) {
	for announced, want := range map[string]time.Duration{
		"timeout=5":            4 * time.Second,
		"timeout=2":            time.Second,
		"timeout=1":            500 * time.Millisecond,
		"timeout=0":            0,
		"max=100, timeout=65":  30 * time.Second,
		`Timeout="10", max=5`:  9 * time.Second,
		"":                     defaultKeep,
		"max=5":                defaultKeep,
		"timeout=soon":         defaultKeep,
		"timeout=-1":           defaultKeep,
		"timeout=99999999999":  defaultKeep,
		"timeout=5, timeout=9": 4 * time.Second,
	} {
		if got := keepFor(announced); got != want {
			t.Errorf("keepFor(%q) = %v, want %v", announced, got, want)
		}
	}
}

// TestCancelled ends requests in each of their states by the context: each returns, and no connection is
// kept.
func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	reached := make(chan struct{}, 1)
	srv := script(t, func(r *http.Request, _ *bufio.Reader, c net.Conn) {
		switch r.URL.Path {
		case "/head":
		case "/body":
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		case "/upload":
			_, _ = io.ReadFull(r.Body, make([]byte, 10))
		}
		reached <- struct{}{}
		<-hold
	})
	for _, path := range []string{"/head", "/body", "/upload"} {
		t.Run(path, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			body := io.Reader(strings.NewReader("x"))
			if path == "/upload" {
				r, w := io.Pipe()
				defer w.Close()
				go func() { _, _ = w.Write(make([]byte, 10)) }()
				body = r
			}
			req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+srv.Addr().String()+path, body)
			go func() { <-reached; cancel(cause) }()
			own := both(t)["own"].(*Transport)
			res, err := own.RoundTrip(req)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, cause) {
				t.Errorf("error = %v, want the context's cause", err)
			}
			if len(own.pool.idle) != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// TestEarlyAnswer gets an answer while the body is still being sent, as from net/http's Transport.
func TestEarlyAnswer(t *testing.T) {
	for name := range both(t) {
		t.Run(name, func(t *testing.T) {
			srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
				n, _ := io.CopyN(io.Discard, r, 1<<20)
				fmt.Fprintf(c, "%x\r\n%d\r\n0\r\n\r\n", len(fmt.Sprint(n)), n)
				_, _ = io.Copy(io.Discard, r)
			})
			body, w := io.Pipe()
			req, _ := http.NewRequest("POST", "http://"+srv.Addr().String(), body)
			go func() { _, _ = w.Write(make([]byte, 64<<10)) }()
			res, err := both(t)[name].RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			early := make([]byte, 5)
			if _, err := io.ReadFull(res.Body, early); err != nil || string(early) != "early" {
				t.Fatalf("read %q, %v, want early", early, err)
			}
			go func() { _, _ = w.Write(make([]byte, 2<<20)); w.Close() }()
			rest, err := io.ReadAll(res.Body)
			if err != nil || string(rest) != fmt.Sprint(1<<20) {
				t.Errorf("the rest = %q, %v, want %d", rest, err, 1<<20)
			}
		})
	}
}

// TestUploadFails half way: the server must not see a body that looks whole, and the error is the body's.
func TestUploadFails(t *testing.T) {
	broken := errors.New("the caller is gone")
	for _, length := range []int64{-1, 1 << 20} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			seen := make(chan error, 1)
			srv := script(t, func(r *http.Request, _ *bufio.Reader, _ net.Conn) {
				_, err := io.Copy(io.Discard, r.Body)
				seen <- err
			})
			body, w := io.Pipe()
			req, _ := http.NewRequest("POST", "http://"+srv.Addr().String(), body)
			req.ContentLength = length
			go func() {
				_, _ = w.Write(make([]byte, 100<<10))
				w.CloseWithError(broken)
			}()
			_, err := both(t)["own"].RoundTrip(req)
			if !errors.Is(err, broken) {
				t.Errorf("error = %v, want the body's", err)
			}
			if err := <-seen; err == nil {
				t.Error("the server took the body for whole")
			}
		})
	}
}

// TestUpgrade speaks another protocol on the connection, with bytes that came together with the answer's
// head, and an end of one direction alone.
func TestUpgrade(t *testing.T) {
	srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst ")
		said, _ := io.ReadAll(r)
		_, _ = c.Write(bytes.ToUpper(said))
	})
	for name, rt := range both(t) {
		t.Run(name, func(t *testing.T) {
			req, _ := http.NewRequest("GET", "http://"+srv.Addr().String(), nil)
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "websocket")
			res, err := rt.RoundTrip(req)
			if err != nil || res.StatusCode != 101 {
				t.Fatal(res, err)
			}
			rwc, ok := res.Body.(io.ReadWriteCloser)
			if !ok {
				t.Fatalf("the body of the answer is a %T, which cannot be written to", res.Body)
			}
			defer rwc.Close()
			_, _ = io.WriteString(rwc, "second")
			if err := res.Body.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(rwc); string(got) != "first SECOND" {
				t.Errorf("read %q, %v, want first SECOND", got, err)
			}
		})
	}
}

// TestManyAtOnce sends requests side by side: each gets its own answer.
func TestManyAtOnce(t *testing.T) {
	url, _ := counted(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	rt := both(t)["own"]
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 50 {
				want := strings.Repeat(fmt.Sprintf("%d-%d ", i, j), 1+(i*j)%2000)
				if _, got, err := post(t, rt, url, want); err != nil || got != want {
					t.Errorf("answer of %d bytes, %v; want %d", len(got), err, len(want))
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestNotSentTwice has a server that takes a request on a connection that was used before, and closes it
// without an answer: it may have done what it was asked.
func TestNotSentTwice(t *testing.T) {
	for _, method := range []string{"GET", "DELETE", "POST"} {
		t.Run(method, func(t *testing.T) {
			var requests atomic.Int64
			srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
				requests.Add(1)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
				if _, err := http.ReadRequest(r); err == nil {
					requests.Add(1)
				}
			})
			own := both(t)["own"]
			send := func() outcome {
				req, err := http.NewRequest(method, "http://"+srv.Addr().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				return exchangeBy(t, own, req)
			}
			if o := send(); o.Status != 200 {
				t.Fatalf("first answer = %+v", o)
			}
			if o := send(); !o.Err || requests.Load() != 2 {
				t.Errorf("second answer = %+v after %d requests, want an error after 2", o, requests.Load())
			}
		})
	}
}

// TestAnswerBeforeTheBodyEnds gets a whole answer while the body is still being sent: nobody else may use the
// connection, on which the rest of the body would be taken for a request.
func TestAnswerBeforeTheBodyEnds(t *testing.T) {
	var connections atomic.Int64
	srv := script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
		connections.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		_, _ = io.Copy(io.Discard, r)
	})
	own := both(t)["own"].(*Transport)
	body, w := io.Pipe()
	defer w.Close()
	req, _ := http.NewRequest("POST", "http://"+srv.Addr().String(), body)
	go func() { _, _ = w.Write(make([]byte, 64<<10)) }()
	if o := exchangeBy(t, own, req); o.Body != "hi" {
		t.Fatalf("answer = %+v", o)
	}
	if _, got, err := post(t, own, "http://"+srv.Addr().String(), "x"); err != nil || got != "hi" {
		t.Errorf("next answer = %q, %v", got, err)
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestWithoutPort dials the scheme's own.
func TestWithoutPort(t *testing.T) {
	for host, want := range map[string]string{"runner": "runner:80", "runner:81": "runner:81", "[::1]": "[::1]:80", "[::1]:81": "[::1]:81"} {
		got := ""
		rt := &Transport{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			got = addr
			return nil, errors.New("dialed")
		}}
		req, _ := http.NewRequest("GET", "http://"+host+"/", nil)
		if _, err := rt.RoundTrip(req); err == nil || got != want {
			t.Errorf("%s: dialed %q, want %q", host, got, want)
		}
	}
}
