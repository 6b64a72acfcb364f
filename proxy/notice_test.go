package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestHeldBodiesAreGivenBack sends more checked bodies, one after the other, than may be held at once.
func TestHeldBodiesAreGivenBack(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // 4 MiB in all
	})
	for i := range 120 {
		a := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
		if a.status != 200 {
			t.Fatalf("request %d = %d %s, want 200", i+1, a.status, a.problem.Code)
		}
	}
}

// TestUploadSlowerThanThePatience takes longer over a body than the runner may take over its answer: as long as it
// moves on, nobody is to blame.
func TestUploadSlowerThanThePatience(t *testing.T) {
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, func(o *proxy.Options) { change(o); o.UpstreamTimeout = 300 * time.Millisecond })
		c := g.dial(t)
		const pieces = 8
		fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), pieces*begun)
		for range pieces {
			_, _ = io.CopyN(c, zeros{}, begun)
			time.Sleep(100 * time.Millisecond) // the slowness itself is what is tested
		}
		if a := readAnswer(t, c); a.status != 200 {
			t.Errorf("answer = %d %s, want 200", a.status, a.problem.Code)
		}
	})
}

// TestWebsocketWithABody: what is in the body would run into what is said in the websocket.
func TestWebsocketWithABody(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		o.Routes = slices.Concat(route.Flowise().Routes, []*route.Route{{Group: "own", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}})
		o.Expose = []string{"own"}
	})
	head := fmt.Sprintf("GET /ws/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", botA, bearerOf(secretA))
	for _, body := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
		checkProblem(t, g.raw(t, head+body), 400, problem.BadRequest)
	}
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
}

// TestLargeAnswer is larger than anything that is read at once or limited to a head.
func TestLargeAnswer(t *testing.T) {
	const size = 5 << 20
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, size) }, change)
		if a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA)); a.status != 200 || len(a.body) != size {
			t.Errorf("answer = %d with %d bytes, want 200 with %d", a.status, len(a.body), size)
		}
	})
}

// TestPublicCallsAreLoggedWithinBounds: requests that need no key cannot fill a disk either, and those with one
// all get their line.
func TestPublicCallsAreLoggedWithinBounds(t *testing.T) {
	const flood = 300
	s := serveGate(t, nil, time.Minute)
	for range flood {
		if got := status(t, s.base+"/api/v1/ping"); got != 200 {
			t.Fatalf("ping = %d, want 200", got)
		}
	}
	res := stream(t, s.base)
	_, _ = io.Copy(io.Discard, res.Body)
	s.stop()
	if err := <-s.ended; err != nil {
		t.Fatal(err)
	}
	log := s.log.String()
	lines := strings.Count(log, `"route":"ping"`)
	if lines >= flood || lines < 50 || !strings.Contains(log, `"allowed_without_key":`) {
		t.Errorf("%d lines of %d requests without a key, want some of them and a count of the rest", lines, flood)
	}
	if n := strings.Count(log, `"key":"key-a"`); n != 1 {
		t.Errorf("%d lines of the request with a key, want 1", n)
	}
}

// TestDebugLogsEach: an operator who looks for something gets every line.
func TestDebugLogsEach(t *testing.T) {
	log := &lockedBuffer{}
	g := newGate(t, nil, func(o *proxy.Options) { o.Log = zerolog.New(log).Level(zerolog.DebugLevel) })
	const flood = 150
	for range flood {
		g.request(t, "GET", "/api/v1/ping", "")
	}
	eventually(t, "a line for each request", func() bool { return strings.Count(log.String(), `"route":"ping"`) == flood })
}
