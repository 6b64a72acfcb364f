package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestPipelining sends several requests at once. The gate decides about each separately and in order, and never takes the
// body of one for another.
func TestPipelining(t *testing.T) {
	t.Parallel()
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
		statuses    []int    // of all responses
		ends        int      // after how many of them the connection may be closed; zero if only after the last
		reached     []string // request lines at the upstream, without the version
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
			upstream := newRawUpstream(t)
			g := newGate(t, nil, func(o *proxy.Options) { upstream.use(o); o.MaxBody = 1000 })
			got := statuses(g.conversation(t, tt.bytes))
			passed := 0
			for _, status := range got {
				if status == 200 {
					passed++
				}
			}
			var reached []string
			for _, q := range upstream.received(t) {
				if q.fault != "" {
					continue // given up in the middle
				}
				line, _, _ := strings.Cut(q.header, " HTTP/1.1\r\n")
				reached = append(reached, line)
			}
			if !slices.Equal(got, tt.statuses) && (len(got) != tt.ends || !isPrefix(got, tt.statuses)) {
				t.Errorf("responses = %v, want %v, closed after %d at the soonest", got, tt.statuses, tt.ends)
			}
			if len(reached) != passed || !isPrefix(reached, tt.reached) {
				t.Errorf("requests at the upstream = %q with responses %v, want %q", reached, got, tt.reached)
			}
		})
	}
}

func isPrefix[T comparable](a, of []T) bool {
	return len(a) <= len(of) && slices.Equal(a, of[:len(a)])
}

// TestContinue sends requests with Expect: 100-continue.
func TestContinue(t *testing.T) {
	t.Parallel()
	header := func(key string) string {
		return "POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nHost: gate\r\n" + jsonType + "\r\nContent-Length: " + strconv.Itoa(len(hidden)) + "\r\nExpect: 100-continue\r\n" + key + "\r\n"
	}
	t.Run("refused", func(t *testing.T) {
		upstream := newRawUpstream(t)
		g := newGate(t, nil, upstream.use)
		responses := g.conversation(t, header(""))
		if got := statuses(responses); !slices.Equal(got, []int{401}) || !responses[0].Close {
			t.Errorf("responses = %v, want 401 without 100 Continue, and a closed connection", got)
		}
		responses = g.conversation(t, header("")+hidden+last) // sent without waiting
		if got := statuses(responses); !slices.Equal(got, []int{401}) {
			t.Errorf("responses to a body sent all the same = %v, want 401 and a closed connection", got)
		}
		if n := len(upstream.received(t)); n != 0 {
			t.Errorf("requests at the upstream = %d, want 0", n)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		upstream := newRawUpstream(t)
		g := newGate(t, nil, upstream.use)
		conn := g.dial(t)
		fmt.Fprint(conn, header(bearerOf(secretA)+"\r\n"))
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("response to the header = %q, %v, want 100 Continue", line, err)
		}
		_, _ = in.ReadString('\n')
		fmt.Fprint(conn, hidden+last)
		for _, want := range []int{200, 200} {
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != want {
				t.Fatalf("response = %v, %v, want %d", res, err, want)
			}
			_, _ = io.Copy(io.Discard, res.Body)
		}
		requests := upstream.received(t)
		if len(requests) != 2 || requests[0].body != hidden || strings.Contains(requests[0].header, "Expect") {
			t.Errorf("requests at the upstream = %+v, want the body as one, without Expect, and the last", requests)
		}
	})
	t.Run("another expectation", func(t *testing.T) {
		upstream := newRawUpstream(t)
		g := newGate(t, nil, upstream.use)
		bytes := strings.Replace(header(bearerOf(secretA)+"\r\n"), "100-continue", "200-maybe", 1)
		if got := statuses(g.conversation(t, bytes+hidden+last)); !slices.Equal(got, []int{417}) || len(upstream.received(t)) != 0 {
			t.Errorf("responses = %v, %d requests at the upstream; want 417 and none", got, len(upstream.received(t)))
		}
	})
}

// TestConnectionAfterRefusal sends requests that are refused, with their bodies, over one connection. The connection
// stays open, no body is taken for a request, and the next request is served.
func TestConnectionAfterRefusal(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	c := g.dial(t)
	r := bufio.NewReader(c)
	hidden := "GET /api/v1/ping HTTP/1.1\r\nHost: hidden\r\n\r\n"
	for _, tt := range []struct {
		target string
		header string
		status int
	}{
		{"/api/v1/prediction/" + botA, "", 401},
		{"/api/v1/prediction/" + botA, bearerOf(secretB) + "\r\n", 403},
		{"/api/v1/%70rediction/" + botA, "", 400},
		{"/api/v1/leads", "", 401},
		{"/api/v1/prediction/" + botA, bearerOf(secretA) + "\r\n", 200},
	} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: gate\r\n%s%s\r\nContent-Length: %d\r\n\r\n%s", tt.target, tt.header, jsonType, len(hidden), hidden)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("POST %s %s: %v", tt.target, tt.header, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != tt.status || res.Close {
			t.Errorf("POST %s = %d, connection to be closed: %t; want %d, false", tt.target, res.StatusCode, res.Close, tt.status)
		}
	}
	if _, body, n := g.upstream.last(); n != 1 || body != hidden {
		t.Errorf("%d requests reached the upstream, the last with %q; want 1, its own body", n, body)
	}
	// A body that is too large to be worth reading is not read, so the connection cannot be reused.
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nContent-Length: %d\r\n\r\n%s", botA, 1<<20, strings.Repeat("x", 300<<10))
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 401 || !res.Close {
		t.Fatalf("a large body = %v, %v, want 401 and the connection to be closed", res, err)
	}
	res.Body.Close()
}
