package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestBufferedBodiesAreLimited fills the memory that bodies may take while they are checked. The next body is refused,
// and accepted once memory is free.
func TestBufferedBodiesAreLimited(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // for 64 bodies: 4 MiB
	})
	header := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), 60<<10)
	var conns []net.Conn
	buffer := func() { // sends 50 KiB
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
		buffer() // some of those that arrived at the same time may have been refused
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

// TestBufferedBodiesAreReleased sends one checked body after the other, more than may be buffered at once.
func TestBufferedBodiesAreReleased(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // for 64 bodies: 4 MiB
	})
	for i := range 120 {
		res := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
		if res.status != 200 {
			t.Fatalf("request %d = %d %s, want 200", i+1, res.status, res.problem.Code)
		}
	}
}

// TestAnonymousBodiesHaveTheirOwnLimit has clients without a key on a route where a chatflow is public. Those that send
// half of a body use up their memory, those that send nothing take next to none, and clients with a key are not affected.
func TestAnonymousBodiesHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	const half = 40 << 10
	for name, tt := range map[string]struct {
		clients int
		body    string
		refused problem.Code // of another client without a key
	}{
		"no byte of a body": {100, "", problem.MissingKey}, // together they announce four times the memory for all
		"half of a body":    {20, `{"a":"` + strings.Repeat("x", half), problem.Overloaded},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				withKeys(t, keyFile+publicEntry)(o)
				o.MaxCheckedBody = 64 << 10 // 1 MiB for all clients without a key
				o.FailureLimit.Burst = -1
			})
			stall := func() {
				c, err := net.Dial("tcp", g.address)
				if err != nil {
					t.Skipf("no more connections: %v", err)
				}
				t.Cleanup(func() { c.Close() })
				fmt.Fprintf(c, "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: %d\r\n\r\n%s", jsonType, half+1000, tt.body)
			}
			for range tt.clients {
				stall()
			}
			lead := func(headers ...string) *response {
				return g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, append(headers, jsonType)...)
			}
			if tt.body == "" {
				testkit.Eventually(t, "open request of each client", func() bool {
					enough := g.open() >= int64(tt.clients)
					if !enough {
						stall() // replaces one that was given up
					}
					return enough
				})
			}
			testkit.Eventually(t, "response "+string(tt.refused), func() bool { return lead().problem.Code == string(tt.refused) })
			for range 20 {
				if res := lead(bearerOf(secretA)); res.status != 200 {
					t.Fatalf("request with a key = %d %s, want 200", res.status, res.problem.Code)
				}
			}
		})
	}
}

// behindProxy makes the gate believe its clients' X-Forwarded-For.
func behindProxy(o *proxy.Options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// TestAnonymousBodiesOfOneAddress has one client without a key fill its share with bodies that stall. Visitors from other
// addresses are still served.
func TestAnonymousBodiesOfOneAddress(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, keyFile+"  - {id: "+botPublic+", public: true, body: {deny: [overrideConfig]}}\n")(o)
		behindProxy(o)
		o.MaxCheckedBody = 64 << 10
	})
	const size = 60 << 10
	header := func(client string) string {
		return fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n", botPublic, jsonType, client, size)
	}
	body := `{"question":"` + strings.Repeat("x", size-15) + `"}`
	ask := func(client string) *response { return g.raw(t, header(client)+body) }
	testkit.Eventually(t, "refusal for lack of memory", func() bool {
		for range 16 { // some of those that arrived at the same time may have been refused
			c := g.dial(t)
			t.Cleanup(func() { c.Close() })
			_, _ = io.WriteString(c, header("192.0.2.1")+body[:size/2+100])
		}
		return ask("192.0.2.1").problem.Code == string(problem.Overloaded)
	})
	var refused []string
	for i := range 10 {
		if res := ask(fmt.Sprintf("192.0.3.%d", i)); res.status != 200 {
			refused = append(refused, fmt.Sprint(res.status, " ", res.problem.Code))
		}
	}
	if len(refused) > 1 { // one visitor in four thousand shares the first client's counter
		t.Errorf("requests of other visitors were refused: %q, want at most one", refused)
	}
}
