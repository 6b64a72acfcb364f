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

// TestHeldBodiesAreBounded fills the memory that bodies may hold while they are checked: the next one is
// refused, and accepted again when the memory is free.
func TestHeldBodiesAreBounded(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // 4 MiB in all
	})
	head := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), 60<<10)
	var held []net.Conn
	hold := func() { // 50 KiB
		c := g.dial(t)
		if _, err := io.WriteString(c, head+`{"question":"`+strings.Repeat("x", 50<<10)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for range 70 {
		hold()
	}
	ask := func() *answer {
		return g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
	}
	testkit.Eventually(t, "refusal for want of memory", func() bool {
		hold() // of those that came at once, some may have been refused too many
		return ask().problem.Code == string(problem.Overloaded)
	})
	if a := g.request(t, "POST", "/api/v1/prediction/"+botA, `{"question":"x"}`, jsonType, bearerOf(secretA)); a.status != 200 {
		t.Errorf("a chatflow without a limit = %d, want 200", a.status)
	}
	for _, c := range held {
		c.Close()
	}
	testkit.Eventually(t, "memory being free again", func() bool { return ask().status == 200 })
}

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

// TestStrangersDoNotFillTheMemoryOfBodies has callers without a key, for a route on which some chatflow may be
// public, who send heads and no byte of a body: key holders must not be refused for that.
func TestStrangersDoNotFillTheMemoryOfBodies(t *testing.T) {
	g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
	const strangers = 4100
	for range strangers {
		c, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Skipf("no more connections: %v", err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 10\r\n\r\n", jsonType)
	}
	testkit.Eventually(t, "all strangers being inside", func() bool { return g.admin.Status().OpenRequests >= 4096-64 })
	for range 20 {
		if a := g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, bearerOf(secretA), jsonType); a.status != 200 {
			t.Fatalf("a key holder gets %d %s while %d strangers send nothing", a.status, a.problem.Code, strangers)
		}
	}
}
