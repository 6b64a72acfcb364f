package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

// hidden is a request without a key. It is sent where gate and upstream might disagree about the end of the request
// before it.
const hidden = "POST /api/v1/prediction/" + botB + " HTTP/1.1\r\nHost: hidden\r\nContent-Length: 2\r\n\r\n{}"

// last ends a conversation: the connection is closed after it.
const last = "GET /api/v1/ping HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"

// TestFraming sends requests whose end can be understood in two ways, each followed by a hidden one. At most one
// well-formed request of each may reach the upstream, and never the hidden one.
func TestFraming(t *testing.T) {
	t.Parallel()
	const (
		refused = ""      // nothing reaches the upstream
		none    = "none"  // a request without a body reaches it
		two     = "{}"    // a request with this body reaches it
		broken  = "fault" // a part of a request may reach the upstream, but not a whole one
		any     = "any"   // at most one request reaches it
	)
	type row struct {
		name, headers, body string
		want                string
		closed              bool // the connection is closed after it, because its end is ambiguous
	}
	chunks := "2\r\n{}\r\n0\r\n\r\n"
	groups := map[string][]row{
		"Content-Length": {
			{"as it should be", "Content-Length: 2", "{}", two, false},
			{"spaces around", "Content-Length:  \t2 \t", "{}", two, false},
			{"twice the same", "Content-Length: 2\r\nContent-Length: 2", "{}", any, false},
			{"twice, the first longer", "Content-Length: 2000\r\nContent-Length: 2", "{}", refused, true},
			{"twice, the second longer", "Content-Length: 2\r\nContent-Length: 2000", "{}", refused, true},
			{"three times", "Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 3", "{}", refused, true},
			{"list", "Content-Length: 2, 2", "{}", refused, true},
			{"list of two", "Content-Length: 2, 3", "{}", refused, true},
			{"plus", "Content-Length: +2", "{}", refused, true},
			{"minus", "Content-Length: -2", "{}", refused, true},
			{"minus nothing", "Content-Length: -0", "", refused, true},
			{"hexadecimal", "Content-Length: 0x2", "{}", refused, true},
			{"octal", "Content-Length: 0o2", "{}", refused, true},
			{"exponent", "Content-Length: 2e0", "{}", refused, true},
			{"fraction", "Content-Length: 2.0", "{}", refused, true},
			{"underline", "Content-Length: 0_2", "{}", refused, true},
			{"space within", "Content-Length: 0 2", "{}", refused, true},
			{"semicolon", "Content-Length: 2;", "{}", refused, true},
			{"quoted", `Content-Length: "2"`, "{}", refused, true},
			{"empty", "Content-Length:", "{}", refused, true},
			{"word", "Content-Length: two", "{}", refused, true},
			{"other digits", "Content-Length: \u0662", "{}", refused, true},
			{"no-break space", "Content-Length: 2\u00a0", "{}", refused, true},
			{"NUL", "Content-Length: 2\x00", "{}", refused, true},
			{"overflow of 64 bits", "Content-Length: 18446744073709551618", "{}", refused, true},
			{"overflow of 63 bits", "Content-Length: 9223372036854775808", "{}", refused, true},
			{"zeros before", "Content-Length: 002", "{}", any, false},
			{"none with a body", "X: y", "", none, false},
			{"nothing with a body", "Content-Length: 0", "", none, false},
			{"space before the colon", "Content-Length : 2", "{}", refused, true},
			{"underline in the name", "Content_Length: 2", "", none, false},
		},
		"Transfer-Encoding": {
			{"as it should be", "Transfer-Encoding: chunked", chunks, two, false},
			{"upper case", "Transfer-Encoding: CHUNKED", chunks, any, false},
			{"then identity", "Transfer-Encoding: chunked, identity", chunks, refused, true},
			{"identity", "Transfer-Encoding: identity", "", refused, true},
			{"identity first", "Transfer-Encoding: identity, chunked", chunks, refused, true},
			{"twice in one", "Transfer-Encoding: chunked, chunked", chunks, refused, true},
			{"two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunks, refused, true},
			{"two lines, one other", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", chunks, refused, true},
			{"two lines, other first", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", chunks, refused, true},
			{"x before", "Transfer-Encoding: xchunked", chunks, refused, true},
			{"x after", "Transfer-Encoding: chunkedx", chunks, refused, true},
			{"parameter", "Transfer-Encoding: chunked;x", chunks, refused, true},
			{"parameter with a value", "Transfer-Encoding: chunked;q=0.5", chunks, refused, true},
			{"comma before", "Transfer-Encoding: ,chunked", chunks, refused, true},
			{"comma after", "Transfer-Encoding: chunked,", chunks, refused, true},
			{"quoted", `Transfer-Encoding: "chunked"`, chunks, refused, true},
			{"vertical tab", "Transfer-Encoding: \vchunked", chunks, refused, true},
			{"NUL", "Transfer-Encoding: chunked\x00", chunks, refused, true},
			{"no-break space", "Transfer-Encoding: chunked\u00a0", chunks, refused, true},
			{"dotless k", "Transfer-Encoding: chun\u212aed", chunks, refused, true},
			{"gzip", "Transfer-Encoding: gzip, chunked", chunks, refused, true},
			{"gzip alone", "Transfer-Encoding: gzip", "{}", refused, true},
			{"empty", "Transfer-Encoding:", chunks, refused, true},
			{"space before the colon", "Transfer-Encoding : chunked", chunks, refused, true},
			{"folded", "Transfer-Encoding:\r\n chunked", chunks, any, false},
			{"folded after", "Transfer-Encoding: chunked\r\n , identity", chunks, refused, true},
			{"behind a bare line feed", "X: y\nTransfer-Encoding: chunked", chunks, any, false},
			{"behind a bare carriage return", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 2", "{}", refused, true},
			{"underline in the name", "Transfer_Encoding: chunked", "", none, false},
			{"as trailer", "Transfer-Encoding: chunked\r\nTrailer: Transfer-Encoding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", refused, true},
			{"length as trailer", "Transfer-Encoding: chunked\r\nTrailer: Content-Length", "0\r\nContent-Length: 100\r\n\r\n", refused, true},
		},
		"both": {
			{"shorter", "Content-Length: 1\r\nTransfer-Encoding: chunked", chunks, any, false},
			{"longer", "Transfer-Encoding: chunked\r\nContent-Length: 200", chunks, any, false},
			{"fitting", "Transfer-Encoding: chunked\r\nContent-Length: 12", chunks, any, false},
			{"malformed length", "Transfer-Encoding: chunked\r\nContent-Length: x", chunks, refused, true},
			{"two lengths", "Content-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", chunks, refused, true},
			{"unknown encoding", "Content-Length: 2\r\nTransfer-Encoding: xchunked", "{}", refused, true},
			{"encoding in Connection", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding", chunks, any, false},
		},
		"chunks": {
			{"several", "Transfer-Encoding: chunked", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", two, false},
			{"upper case and zeros", "Transfer-Encoding: chunked", "0000000A\r\n{       }\n\r\n00\r\n\r\n", any, false},
			{"extension", "Transfer-Encoding: chunked", "2;x=y\r\n{}\r\n0;z\r\n\r\n", any, false},
			{"extension with a line in quotes", "Transfer-Encoding: chunked", "2;x=\"\r\n{}\"\r\n0\r\n\r\n", broken, true},
			{"extension with a bare line feed", "Transfer-Encoding: chunked", "2;x\n{}\r\n0\r\n\r\n", broken, true},
			{"extension with a bare carriage return", "Transfer-Encoding: chunked", "2;x\r{}\r\n0\r\n\r\n", broken, true},
			{"space after", "Transfer-Encoding: chunked", "2 \r\n{}\r\n0\r\n\r\n", any, false},
			{"space before", "Transfer-Encoding: chunked", " 2\r\n{}\r\n0\r\n\r\n", broken, true},
			{"plus", "Transfer-Encoding: chunked", "+2\r\n{}\r\n0\r\n\r\n", broken, true},
			{"minus", "Transfer-Encoding: chunked", "-2\r\n{}\r\n0\r\n\r\n", broken, true},
			{"hexadecimal prefix", "Transfer-Encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n", broken, true},
			{"underline", "Transfer-Encoding: chunked", "0_2\r\n{}\r\n0\r\n\r\n", broken, true},
			{"no size", "Transfer-Encoding: chunked", "\r\n{}\r\n0\r\n\r\n", broken, true},
			{"no digit", "Transfer-Encoding: chunked", "g\r\n{}\r\n0\r\n\r\n", broken, true},
			{"overflow", "Transfer-Encoding: chunked", "10000000000000002\r\n{}\r\n0\r\n\r\n", broken, true},
			{"bare line feed after the size", "Transfer-Encoding: chunked", "2\n{}\r\n0\r\n\r\n", broken, true},
			{"bare line feed after the data", "Transfer-Encoding: chunked", "2\r\n{}\n0\r\n\r\n", broken, true},
			{"longer than its size", "Transfer-Encoding: chunked", "1\r\n{}\r\n0\r\n\r\n", broken, true},
			{"shorter than its size", "Transfer-Encoding: chunked", "3\r\n{}\r\n0\r\n\r\n", broken, true},
			{"carriage return missing", "Transfer-Encoding: chunked", "2\r\n{}0\r\n\r\n", broken, true},
			{"last one with a tail", "Transfer-Encoding: chunked", "2\r\n{}\r\n0x\r\n\r\n", broken, true},
			{"last one with a bare line feed", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\n\n", broken, true},
			{"trailer without a colon", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\nx\r\n\r\n", broken, true},
			{"trailer with a space before its colon", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\nX : y\r\n\r\n", any, false},
			{"negative last one", "Transfer-Encoding: chunked", "2\r\n{}\r\n-0\r\n\r\n", broken, true},
			{"long size line", "Transfer-Encoding: chunked", "2;" + strings.Repeat("x", 64<<10) + "\r\n{}\r\n0\r\n\r\n", broken, true},
		},
		"header": {
			{"bare line feeds", "Content-Length: 2\nX: y", "{}", any, false},
			{"line folded", "Content-Length: 2\r\nX: a\r\n b", "{}", any, false},
			{"line folded with a tab", "Content-Length: 2\r\nX: a\r\n\tContent-Length: 3", "{}", any, false},
			{"length folded", "Content-Length: 2\r\n 0", "{}", refused, true},
			{"length folded from its name", "Content-Length:\r\n 2", "{}", any, false},
			{"space before a colon", "X : y\r\nContent-Length: 2", "{}", refused, true},
			{"tab before a colon", "X\t: y\r\nContent-Length: 2", "{}", refused, true},
			{"no colon", "X\r\nContent-Length: 2", "{}", refused, true},
			{"no name", ": y\r\nContent-Length: 2", "{}", refused, true},
			{"NUL in a name", "X\x00Y: y\r\nContent-Length: 2", "{}", refused, true},
			{"NUL in a value", "X: a\x00b\r\nContent-Length: 2", "{}", refused, true},
			{"NUL at the end of a name", "X\x00: y\r\nContent-Length: 2", "{}", refused, true},
			{"control byte in a name", "X\x01: y\r\nContent-Length: 2", "{}", refused, true},
			{"bare carriage return in a value", "X: a\rb\r\nContent-Length: 2", "{}", refused, true},
			{"bare carriage return at an end", "X: a\r\r\nContent-Length: 2", "{}", any, false},
			{"not ASCII in a name", "X\u00e4: y\r\nContent-Length: 2", "{}", refused, true},
			{"brackets in a name", "X[]: y\r\nContent-Length: 2", "{}", refused, true},
			{"line feed before the end", "Content-Length: 2\r\nX: y\n", "", any, false},
		},
	}
	for group, rows := range groups {
		for _, tt := range rows {
			t.Run(group+" "+tt.name, func(t *testing.T) {
				upstream := newRawUpstream(t)
				g := newGate(t, nil, upstream.use)
				responses := g.conversation(t, "POST /api/v1/prediction/"+botA+" HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+"\r\n"+jsonType+"\r\n"+
					tt.headers+"\r\n\r\n"+tt.body+hidden+last)
				var bodies []string
				for _, q := range upstream.received(t) {
					switch {
					case strings.HasPrefix(q.header, "GET /api/v1/ping "): // the last one is a request of its own
						continue
					case !strings.HasPrefix(q.header, "POST /api/v1/prediction/"+botA+" "), strings.Contains(q.header, "hidden"):
						t.Errorf("request at the upstream = %q, want none that was not authorized", q.header)
					}
					if strings.Contains(q.body, "HTTP/1.1") && q.fault == "" {
						t.Errorf("body at the upstream = %q, want none with a request in it", q.body)
					}
					if q.fault != "" {
						q.body = broken
					}
					bodies = append(bodies, q.body)
				}
				ok := len(bodies) <= 1
				got := statuses(responses)
				switch tt.want {
				case refused:
					ok = len(bodies) == 0
				case none:
					ok = len(bodies) == 1 && bodies[0] == ""
				case two:
					ok = len(bodies) == 1 && bodies[0] == two
				case broken:
					ok = ok && (len(bodies) == 0 || bodies[0] == broken)
				case any:
					ok = ok && (len(bodies) == 0 || bodies[0] != broken)
				}
				if !ok {
					t.Errorf("bodies at the upstream = %q, want %q; responses %v", bodies, tt.want, got)
				}
				if tt.want == refused && (len(got) != 1 || got[0] < 400) {
					t.Errorf("responses = %v, want one refusal", got)
				}
				if tt.closed && len(got) > 1 {
					t.Errorf("responses = %v, want the connection to be closed after the first", got)
				}
				if all := []int{200, 401, 200}; (tt.want == two || tt.want == none) && (len(got) == 0 || !isPrefix(got, all)) {
					t.Errorf("responses = %v, want 200, and then none or 401 and 200", got)
				}
			})
		}
	}
}

// TestBodiesOfOtherMethods sends bodies with methods for which some servers do not expect one.
func TestBodiesOfOtherMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
		for name, framed := range map[string]string{
			"length": "Content-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n" + hidden,
			"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				upstream := newRawUpstream(t)
				g := newGate(t, nil, upstream.use)
				got := statuses(g.conversation(t, method+" /api/v1/webhook/"+botA+" HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+"\r\n"+framed+last))
				requests := upstream.received(t)
				if len(got) == 0 || len(requests) != len(got) || slices.ContainsFunc(got, func(status int) bool { return status != 200 }) {
					t.Fatalf("responses = %v, %d requests at the upstream; want 200 for each", got, len(requests))
				}
				if q := requests[0]; q.body != hidden || q.fault != "" || !strings.HasPrefix(q.header, method+" /api/v1/webhook/"+botA+" ") {
					t.Errorf("first at the upstream = %+v, want the body in one piece", q)
				}
			})
		}
	}
}

// TestAmbiguousFramingClosesTheConnection sends requests whose end a proxy before the gate may have understood
// differently (RFC 9112, section 6.1). No request may follow on the same connection.
func TestAmbiguousFramingClosesTheConnection(t *testing.T) {
	t.Parallel()
	header := "POST /api/v1/prediction/" + botA + " HTTP/1.%d\r\nHost: gate\r\n" + bearerOf(secretA) + "\r\nConnection: keep-alive\r\n"
	for name, request := range map[string]string{
		"length shorter than the chunks": fmt.Sprintf(header, 1) + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"length longer than the chunks":  fmt.Sprintf(header, 1) + "Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"length of the chunks":           fmt.Sprintf(header, 1) + "Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":             fmt.Sprintf(header, 0) + "Transfer-Encoding: chunked\r\n\r\n",
		"chunks and length in HTTP/1.0":  fmt.Sprintf(header, 0) + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			g := newGate(t, nil, upstream.use)
			got := statuses(g.conversation(t, request+hidden+last))
			if len(got) != 1 {
				t.Errorf("responses = %v, want one and a closed connection", got)
			}
		})
	}
}

// TestHalfABodyIsNoSuccess has clients that send half of a body, and then that no more will come. They still listen, and
// the only right response is one that says what is wrong.
func TestHalfABodyIsNoSuccess(t *testing.T) {
	t.Parallel()
	for name, framed := range map[string]string{
		"length":                           "Content-Length: 100\r\n\r\nhalf",
		"length, nothing sent":             "Content-Length: 100\r\n\r\n",
		"chunk":                            "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
		"chunks without a last":            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"chunks without the trailers' end": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			g := newGate(t, nil, upstream.use)
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s", botA, bearerOf(secretA), framed)
			_ = conn.(*net.TCPConn).CloseWrite()
			raw, _ := io.ReadAll(conn)
			if strings.HasPrefix(string(raw), "HTTP/1.1 2") {
				t.Errorf("response to half a body = %q, want no success", raw)
			}
			for _, q := range upstream.received(t) {
				if q.fault == "" {
					t.Errorf("the upstream got %+v, want nothing whole", q)
				}
			}
		})
	}
}

// TestTwoLengths sends a request with Content-Length and chunks. The bytes by which the two differ must not be taken for
// a request (RFC 9112, section 6.1).
func TestTwoLengths(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	c := g.dial(t)
	hidden := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: hidden\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n%s", botA, bearerOf(secretA), 5+len(hidden), hidden)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if _, err := r.ReadByte(); err == nil || !res.Close {
		t.Errorf("connection after %s is open, want it closed", res.Status)
	}
	if _, _, n := g.upstream.last(); n > 1 {
		t.Errorf("%d requests reached the upstream, want 1 at most", n)
	}
}

// TestUnfinishedRequest ends its body too early. No response may look as if the upstream had sent it.
func TestUnfinishedRequest(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, change) //nolint:thelper // a test, not a helper
		for name, header := range map[string]string{
			"by its length": "Content-Length: 200\r\n\r\n{}",
			"in chunks":     "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		} {
			c := g.dial(t)
			fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s", botA, bearerOf(secretA), header)
			_ = c.(*net.TCPConn).CloseWrite()
			said, _ := io.ReadAll(c)
			if s := string(said); s != "" && !strings.HasPrefix(s, "HTTP/1.1 4") {
				t.Errorf("unfinished %s: %.80q, want a refusal or nothing", name, s)
			}
		}
	})
}
