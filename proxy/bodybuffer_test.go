package proxy_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestBufferedBodiesAreLimited fills the memory that bodies may take while they are checked: the next one is refused,
// and accepted once memory is free.
func TestBufferedBodiesAreLimited(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // 4 MiB in all
	})
	header := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), 60<<10)
	var conns []net.Conn
	buffer := func() { // 50 KiB
		c := g.dial(t)
		if _, err := io.WriteString(c, header+`{"question":"`+strings.Repeat("x", 50<<10)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for range 70 {
		buffer()
	}
	ask := func() *response {
		return g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
	}
	testkit.Eventually(t, "refusal for lack of memory", func() bool {
		buffer() // of those that arrived at once, some may have been refused
		return ask().problem.Code == string(problem.Overloaded)
	})
	if res := g.request(t, "POST", "/api/v1/prediction/"+botA, `{"question":"x"}`, jsonType, bearerOf(secretA)); res.status != 200 {
		t.Errorf("request for a chatflow without a body policy = %d, want 200", res.status)
	}
	for _, c := range conns {
		c.Close()
	}
	testkit.Eventually(t, "200 after memory was released", func() bool { return ask().status == 200 })
}

// TestBufferedBodiesAreReleased sends more checked bodies, one after the other, than may be buffered at once.
func TestBufferedBodiesAreReleased(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // 4 MiB in all
	})
	for i := range 120 {
		res := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
		if res.status != 200 {
			t.Fatalf("request %d = %d %s, want 200", i+1, res.status, res.problem.Code)
		}
	}
}

// TestAnonymousBodiesHaveTheirOwnLimit has clients without a key that send headers and no byte of a body, on a route
// for which a chatflow is public: clients with a key must not be refused for that.
func TestAnonymousBodiesHaveTheirOwnLimit(t *testing.T) {
	g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
	const anonymous = 4100
	for range anonymous {
		c, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Skipf("no more connections: %v", err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 10\r\n\r\n", jsonType)
	}
	testkit.Eventually(t, "open request of each anonymous client", func() bool { return g.admin.Status().OpenRequests >= 4096-64 })
	for range 20 {
		if res := g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, bearerOf(secretA), jsonType); res.status != 200 {
			t.Fatalf("request with a key = %d %s while %d anonymous clients send nothing, want 200", res.status, res.problem.Code, anonymous)
		}
	}
}
