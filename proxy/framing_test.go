package proxy_test

import (
	"bufio"
	"errors"
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

// conversation sends bytes on one connection and returns all answers until the gate closes it.
func (g *gate) conversation(t *testing.T, bytes string) (answers []*http.Response) {
	t.Helper()
	conn := g.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, bytes) }() // the gate may close before it has read all
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("after %d answers the gate neither answers nor closes", len(answers))
			}
			return answers
		}
		body, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(strings.NewReader(string(body)))
		answers = append(answers, res)
		if res.Close {
			_, _ = io.Copy(io.Discard, in)
			return answers
		}
	}
}

func statuses(answers []*http.Response) (s []int) {
	for _, a := range answers {
		s = append(s, a.StatusCode)
	}
	return s
}

// hidden is a request that nobody authorised. It stands where a gate and a runner might disagree
// about where a request ends. Understood as a request it is refused.
const hidden = "POST /api/v1/prediction/" + botB + " HTTP/1.1\r\nHost: hidden\r\nContent-Length: 2\r\n\r\n{}"

// last ends a conversation: whatever was made of the bytes before it, the connection is closed after it.
const last = "GET /api/v1/ping HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"

// TestFraming sends requests whose end can be understood in two ways, with a hidden one behind. Of
// each, one well-formed request may reach the runner at most, and never what was hidden.
func TestFraming(t *testing.T) {
	const (
		refused = ""      // nothing reaches the runner
		none    = "none"  // a request without a body does
		two     = "{}"    // a request with this body does
		broken  = "fault" // one may begin to reach the runner, but not as a whole one
		any     = "any"   // at most one
	)
	type row struct {
		name, headers, body string
		want                string
		closed              bool // the connection is closed after it: what follows is in doubt
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
		"head": {
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
				runner := newRawRunner(t)
				g := newGate(t, nil, runner.upstream(t))
				answers := g.conversation(t, "POST /api/v1/prediction/"+botA+" HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+"\r\n"+jsonType+"\r\n"+
					tt.headers+"\r\n\r\n"+tt.body+hidden+last)
				var bodies []string
				for _, q := range runner.seen(t) {
					switch {
					case strings.HasPrefix(q.head, "GET /api/v1/ping "): // the last: a request of its own
						continue
					case !strings.HasPrefix(q.head, "POST /api/v1/prediction/"+botA+" "), strings.Contains(q.head, "hidden"):
						t.Errorf("the runner got what nobody authorised: %q", q.head)
					}
					if strings.Contains(q.body, "HTTP/1.1") && q.fault == "" {
						t.Errorf("the runner got a body with a request in it: %q", q.body)
					}
					if q.fault != "" {
						q.body = broken
					}
					bodies = append(bodies, q.body)
				}
				ok := len(bodies) <= 1
				got := statuses(answers)
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
					t.Errorf("bodies at the runner = %q, want %q; answers %v", bodies, tt.want, got)
				}
				if tt.want == refused && (len(got) != 1 || got[0] < 400) {
					t.Errorf("answers = %v, want one refusal", got)
				}
				if tt.closed && len(got) > 1 {
					t.Errorf("answers = %v, want the connection to be closed after the first", got)
				}
				if all := []int{200, 401, 200}; (tt.want == two || tt.want == none) && (len(got) == 0 || !isPrefix(got, all)) {
					t.Errorf("answers = %v, want 200, and then the end or 401 and 200", got)
				}
			})
		}
	}
}

// TestPipelining sends several requests at once. Each is decided upon by itself, in order, and what is
// the body of one is never taken for another.
func TestPipelining(t *testing.T) {
	request := func(line, key, body string) string {
		s := line + " HTTP/1.1\r\nHost: gate\r\n"
		if key != "" {
			s += bearerOf(key) + "\r\n"
		}
		if body != "" {
			s += jsonType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
		}
		return s + "\r\n" + body
	}
	predictA, predictB := "POST /api/v1/prediction/"+botA, "POST /api/v1/prediction/"+botB
	valid := request(predictA, secretA, "{}")
	long := strings.Repeat(valid, 300_000/len(valid)) // more than net/http would read to keep the connection
	ping := "GET /api/v1/ping"
	for _, tt := range []struct {
		name, bytes string
		statuses    []int    // of all answers
		ends        int      // after so many of them the connection may end; zero if it may not before the last
		reached     []string // request lines at the runner, without the version
	}{
		{"two valid ones", valid + valid + last, []int{200, 200, 200}, 0, []string{predictA, predictA, ping}},
		{"refused without a body, then valid", request(predictA, "", "") + valid + last, []int{401, 200, 200}, 0, []string{predictA, ping}},
		{"another chatflow's, then valid", request(predictB, secretA, "") + valid + last, []int{403, 200, 200}, 0, []string{predictA, ping}},
		{"not canonical, then valid", request("POST //api/v1/prediction/"+botA, secretA, "") + valid + last, []int{400, 200, 200}, 0, []string{predictA, ping}},
		{"valid, then without a key", valid + request(predictA, "", "") + last, []int{200, 401, 200}, 0, []string{predictA, ping}},
		{"valid, then another chatflow", valid + request(predictB, "", "") + last, []int{200, 401, 200}, 0, []string{predictA, ping}},
		{"refused with a body, then valid", request(predictA, "", "{}") + valid + last, []int{401, 200, 200}, 1, []string{predictA, ping}},
		{"refused with a body that is a valid request", request(predictA, "", valid) + last, []int{401, 200}, 1, []string{ping}},
		{"refused with a long body of valid requests", request(predictA, "", long) + last, []int{401}, 0, nil},
		{"too large, of valid requests", request(predictA, secretA, strings.Repeat(valid, 2+1000/len(valid))) + last, []int{413, 200}, 1, []string{ping}},
		{"valid with a body that is a request", request(predictA, secretA, hidden) + last, []int{200, 200}, 0, []string{predictA, ping}},
		{"chatflow in the body, without a key", request("POST /api/v1/leads", "", `{"chatflowid":"`+botA+`"}`) + valid + last, []int{401, 200, 200}, 1, []string{predictA, ping}},
		{"chatflow in the body, malformed, of valid requests", request("POST /api/v1/leads", secretA, valid) + valid + last, []int{400, 200, 200}, 1, []string{predictA, ping}},
		{"body where none is taken", request(ping, "", valid) + valid + last, []int{400, 200, 200}, 1, []string{predictA, ping}},
		{"lines between", "\r\n\r\n" + valid, []int{400}, 0, nil},
		{"rubbish between", valid + "rubbish\r\n\r\n" + valid, []int{200, 400}, 0, []string{predictA}},
		{"bytes of HTTP/2 between", valid + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + valid, []int{200, 400}, 0, []string{predictA}},
		{"HTTP/0.9", ping + "\r\n\r\n" + valid, []int{400}, 0, nil},
		{"HTTP/1.0", ping + " HTTP/1.0\r\n\r\n" + valid, []int{200}, 0, []string{ping}},
		{"HTTP/1.0 with chunks", strings.Replace(request(predictA, secretA, ""), "HTTP/1.1\r\n", "HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 1) + valid, []int{200}, 0, []string{predictA}},
		{"HTTP/2.0", ping + " HTTP/2.0\r\nHost: x\r\n\r\n" + valid, []int{505}, 0, nil},
		{"HTTP/1.2", ping + " HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n" + valid, []int{200}, 0, []string{ping}},
		{"version in lower case", ping + " http/1.1\r\nHost: x\r\n\r\n" + valid, []int{400}, 0, nil},
		{"version with a tail", ping + " HTTP/1.10\r\nHost: x\r\n\r\n" + valid, []int{400}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runner := newRawRunner(t)
			g := newGate(t, nil, func(o *proxy.Options) { runner.upstream(t)(o); o.MaxBody = 1000 })
			got := statuses(g.conversation(t, tt.bytes))
			passed := 0
			for _, status := range got {
				if status == 200 {
					passed++
				}
			}
			var reached []string
			for _, q := range runner.seen(t) {
				if q.fault != "" {
					continue // given up in the middle: nothing was asked
				}
				line, _, _ := strings.Cut(q.head, " HTTP/1.1\r\n")
				reached = append(reached, line)
			}
			if !slices.Equal(got, tt.statuses) && (len(got) != tt.ends || !isPrefix(got, tt.statuses)) {
				t.Errorf("answers = %v, want %v, ended after %d at the soonest", got, tt.statuses, tt.ends)
			}
			if len(reached) != passed || !isPrefix(reached, tt.reached) {
				t.Errorf("at the runner = %q with answers %v, want %q", reached, got, tt.reached)
			}
		})
	}
}

func isPrefix[T comparable](a, of []T) bool {
	return len(a) <= len(of) && slices.Equal(a, of[:len(a)])
}

// TestContinue sends bodies that wait for leave, and bodies that do not.
func TestContinue(t *testing.T) {
	head := func(key string) string {
		return "POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nHost: gate\r\n" + jsonType + "\r\nContent-Length: " + strconv.Itoa(len(hidden)) + "\r\nExpect: 100-continue\r\n" + key + "\r\n"
	}
	t.Run("refused", func(t *testing.T) {
		runner := newRawRunner(t)
		g := newGate(t, nil, runner.upstream(t))
		answers := g.conversation(t, head(""))
		if got := statuses(answers); !slices.Equal(got, []int{401}) || !answers[0].Close {
			t.Errorf("answers = %v, want 401 without leave to send the body, and the end", got)
		}
		answers = g.conversation(t, head("")+hidden+last) // sent without leave
		if got := statuses(answers); !slices.Equal(got, []int{401}) {
			t.Errorf("answers to a body sent all the same = %v, want 401 and the end", got)
		}
		if n := len(runner.seen(t)); n != 0 {
			t.Errorf("requests at the runner = %d, want 0", n)
		}
	})
	t.Run("let through", func(t *testing.T) {
		runner := newRawRunner(t)
		g := newGate(t, nil, runner.upstream(t))
		conn := g.dial(t)
		fmt.Fprint(conn, head(bearerOf(secretA)+"\r\n"))
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("answer to the head = %q, %v, want leave to send the body", line, err)
		}
		_, _ = in.ReadString('\n')
		fmt.Fprint(conn, hidden+last)
		for _, want := range []int{200, 200} {
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != want {
				t.Fatalf("answer = %v, %v, want %d", res, err, want)
			}
			_, _ = io.Copy(io.Discard, res.Body)
		}
		requests := runner.seen(t)
		if len(requests) != 2 || requests[0].body != hidden || strings.Contains(requests[0].head, "Expect") {
			t.Errorf("at the runner = %+v, want the body as one, without Expect, and the last", requests)
		}
	})
	t.Run("something else", func(t *testing.T) {
		runner := newRawRunner(t)
		g := newGate(t, nil, runner.upstream(t))
		bytes := strings.Replace(head(bearerOf(secretA)+"\r\n"), "100-continue", "200-maybe", 1)
		if got := statuses(g.conversation(t, bytes+hidden+last)); !slices.Equal(got, []int{417}) || len(runner.seen(t)) != 0 {
			t.Errorf("answers = %v, %d requests at the runner; want 417 and none", got, len(runner.seen(t)))
		}
	})
}

// TestBodiesOfOtherMethods sends a body where some servers do not look for one.
func TestBodiesOfOtherMethods(t *testing.T) {
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
		for name, framed := range map[string]string{
			"length": "Content-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n" + hidden,
			"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				runner := newRawRunner(t)
				g := newGate(t, nil, runner.upstream(t))
				got := statuses(g.conversation(t, method+" /api/v1/webhook/"+botA+" HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+"\r\n"+framed+last))
				requests := runner.seen(t)
				if len(got) == 0 || len(requests) != len(got) || slices.ContainsFunc(got, func(status int) bool { return status != 200 }) {
					t.Fatalf("answers = %v, %d requests at the runner; want 200 for each", got, len(requests))
				}
				if q := requests[0]; q.body != hidden || q.fault != "" || !strings.HasPrefix(q.head, method+" /api/v1/webhook/"+botA+" ") {
					t.Errorf("first at the runner = %+v, want the body in one piece", q)
				}
			})
		}
	}
}
