package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// outcome is what a client sees of a response.
type outcome struct {
	Interim []int
	Proto   string
	Status  int
	Header  http.Header
	Coding  []string
	Length  int64
	Close   bool
	Body    string
	Cut     bool // the body broke off
	BodyErr bool
	Trailer http.Header
	Err     bool
}

// outcomeOf sends a request and reads the response.
func outcomeOf(t *testing.T, rt http.RoundTripper, req *http.Request) outcome {
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
	return outcome{
		o.Interim, res.Proto, res.StatusCode, res.Header, res.TransferEncoding, res.ContentLength, res.Close,
		string(body), errors.Is(err, io.ErrUnexpectedEOF), err != nil, res.Trailer, false,
	}
}

// responses are what a server may send, valid or not.
var responses = map[string]string{
	"length":                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
	"chunked":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"chunk extension":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;a\r\n\r\n",
	"trailers":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	"trailers unannounced":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	"trailers forbidden":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n",
	"trailers without end":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n",
	"until the end":          "HTTP/1.1 200 OK\r\n\r\nhello",
	"HTTP/1.0":               "HTTP/1.0 200 OK\r\n\r\nhello",
	"HTTP/1.0 with a length": "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.0 kept alive":    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.0 in chunks":     "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/2.0":               "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"to be closed":           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
	"no content":             "HTTP/1.1 204 No Content\r\n\r\n",
	"no content with some":   "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
	"not modified":           "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"empty":                  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"interim":                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"only interim":           "HTTP/1.1 100 Continue\r\n\r\n",
	"upgrade unnamed":        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\nhello",
	"upgrade not listed":     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello",
	"cut in the status line": "HTTP/1.1 200 O",
	"cut in the header":      "HTTP/1.1 200 OK\r\nContent-Le",
	"cut in the body":        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
	"cut in a chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
	"cut before the last":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"bad chunk":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\nhello\r\n0\r\n\r\n",
	"nothing":                "",
	"no HTTP":                "SSH-2.0-x\r\n\r\n",
	"status 0":               "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nhi",
	"status 99":              "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi",
	"status 999":             "HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nhi",
	"bad status":             "HTTP/1.1 2x0 OK\r\n\r\n",
	"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"the same length twice":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"length and chunks":      "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"unknown coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
	"two codings":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"compressed":             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
	"negative length":        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
	"length of two":          "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
	"header without colon":   "HTTP/1.1 200 OK\r\nX\r\n\r\n",
	"space before the colon": "HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
	"folded header":          "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
	"bare line feeds":        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"more than it says":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and HTTP/1.1 200 OK\r\n\r\n",
	"large header":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader/2) + "\r\nContent-Length: 5\r\n\r\nhello",
	"too large header":       "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader*3/2) + "\r\nContent-Length: 5\r\n\r\nhello",
}

// TestResponsesLikeStandard compares with net/http's Transport what clients see of responses.
func TestResponsesLikeStandard(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		for name, response := range responses {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				t.Run(method+" "+name, func(t *testing.T) {
					url, _ := n.script(t, func(_ *http.Request, _ *bufio.Reader, c net.Conn) { _, _ = io.WriteString(c, response) })
					got := map[string]outcome{}
					for by, rt := range n.both(t) {
						req, err := http.NewRequest(method, url+"/x?y", strings.NewReader("question"))
						if err != nil {
							t.Fatal(err)
						}
						if method != "POST" {
							req.Body, req.ContentLength = nil, 0
						}
						got[by] = outcomeOf(t, rt, req)
					}
					if diff := cmp.Diff(got["standard"], got["own"]); diff != "" {
						t.Errorf("RoundTrip (-standard, +own):\n%.2000s", diff)
					}
				})
			}
		}
	})
}

// requests are changes to a GET request.
var requests = map[string]func(*http.Request){
	"GET":                         func(*http.Request) {},
	"no method":                   func(r *http.Request) { r.Method = "" },
	"GET with a body":             withBody("GET", "x", 1),
	"HEAD":                        func(r *http.Request) { r.Method = "HEAD" },
	"DELETE":                      func(r *http.Request) { r.Method = "DELETE" },
	"DELETE, no body":             func(r *http.Request) { r.Method, r.Body = "DELETE", http.NoBody },
	"OPTIONS":                     func(r *http.Request) { r.Method, r.URL.Opaque = "OPTIONS", "*" },
	"POST, empty":                 func(r *http.Request) { r.Method = "POST" },
	"PUT, no body":                func(r *http.Request) { r.Method, r.Body = "PUT", http.NoBody },
	"PATCH":                       withBody("PATCH", "abc", 3),
	"POST, short":                 withBody("POST", "abc", 3),
	"POST, as long as the buffer": withBody("POST", strings.Repeat("x", bufferSize), bufferSize),
	"POST, long":                  withBody("POST", strings.Repeat("0123456789", 20_000), 200_000),
	"POST, no length":             withBody("POST", strings.Repeat("0123456789", 20_000), -1),
	"POST, no length and short":   withBody("POST", "abc", -1),
	"POST, no length and empty":   withBody("POST", "", -1),
	"POST, length forgotten":      withBody("POST", "abc", 0),
	"POST, a byte at a time":      func(r *http.Request) { withBody("POST", strings.Repeat("x", 300), 300)(r); slowly(r) },
	"the same without length":     func(r *http.Request) { withBody("POST", strings.Repeat("x", 300), -1)(r); slowly(r) },
	"host":                        func(r *http.Request) { r.Host = "flows.example.com" },
	"headers": func(r *http.Request) {
		r.Header = http.Header{"A": {"1", "2"}, "B": {""}, "C": {"x y"}, "D": {"ä\tö"}, "User-Agent": {"x"}}
	},
	"no user agent": func(r *http.Request) { r.Header["User-Agent"] = []string{""} },
	"user agent":    func(r *http.Request) { r.Header.Set("User-Agent", "x") },
	"expect":        func(r *http.Request) { withBody("POST", "abc", 3)(r); r.Header.Set("Expect", "100-continue") },
	"connection":    func(r *http.Request) { r.Header.Set("Connection", "close") },
	"framing headers": func(r *http.Request) {
		r.Header = http.Header{"Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X"}, "Host": {"other"}, "User-Agent": {"x"}}
	},
	"query":        func(r *http.Request) { r.URL.RawQuery = "a=%20&b" },
	"empty query":  func(r *http.Request) { r.URL.ForceQuery = true },
	"escaped path": func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2Fb" },
	"no path":      func(r *http.Request) { r.URL.Path = "" },
	"fragment":     func(r *http.Request) { r.URL.Fragment = "f" },
}

func withBody(method, body string, length int64) func(*http.Request) {
	return func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = method, io.NopCloser(strings.NewReader(body)), length
	}
}

// slowly makes the request body one that can only be read a byte at a time.
func slowly(r *http.Request) { r.Body = io.NopCloser(&slowReader{r.Body}) }

type slowReader struct{ io.Reader }

func (r *slowReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// countedBody counts how often it was closed.
type countedBody struct {
	io.ReadCloser
	closed atomic.Int64
}

func (b *countedBody) Close() error {
	b.closed.Add(1)
	return b.ReadCloser.Close()
}

// received is a request as a server reads it.
type received struct {
	Method, Target, Host string
	Header               http.Header
	Coding               []string
	Length               int64
	Close                bool
	Body                 string
	BodyErr              bool
	Rest                 string // what comes after the request
}

func receivedOf(req *http.Request) received {
	body, err := io.ReadAll(req.Body)
	return received{
		Method: req.Method, Target: req.RequestURI, Host: req.Host, Header: req.Header, Coding: req.TransferEncoding,
		Length: req.ContentLength, Close: req.Close, Body: string(body), BodyErr: err != nil,
	}
}

// TestRequestsLikeStandard compares with net/http's Transport what a server receives, and checks that bodies are closed.
func TestRequestsLikeStandard(t *testing.T) {
	for name, change := range requests {
		t.Run(name, func(t *testing.T) {
			got := make(chan received, 1)
			n := network{scheme: "http"}
			url, _ := n.script(t, func(req *http.Request, _ *bufio.Reader, c net.Conn) {
				got <- receivedOf(req)
				_, _ = io.WriteString(c, hi)
			})
			by := map[string]received{}
			for name, rt := range n.both(t) {
				req, err := http.NewRequest("GET", url+"/path", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("User-Agent", "test")
				change(req)
				body := &countedBody{ReadCloser: req.Body}
				if req.Body != nil && req.Body != http.NoBody {
					req.Body = body
				}
				if o := outcomeOf(t, rt, req); o.Status != 200 {
					t.Fatalf("RoundTrip by %s = %+v, want status 200", name, o)
				}
				by[name] = <-got
				if req.Body == body {
					testkit.Eventually(t, "request body closed once", func() bool { return body.closed.Load() == 1 })
				}
			}
			if diff := cmp.Diff(by["standard"], by["own"]); diff != "" {
				t.Errorf("request (-standard, +own):\n%.2000s", diff)
			}
		})
	}
}
