package proxy_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestRefusalsNobodyReads has HTTP/2 clients that do not read their refusals. Beyond a number for each address, streams
// are reset at once. Other addresses, and clients that read, do not notice.
func TestRefusalsNobodyReads(t *testing.T) {
	t.Parallel()
	const each, streams = 128, 100
	s := serveTLS(t, nil, time.Minute, func(o *proxy.Options) {
		behindProxy(o)
		o.FailureLimit.Burst = -1
	})
	request := func(client string) []field { return post("/api/v1/prediction/"+botA, field{"x-forwarded-for", client}) }
	resets := 0
	for range 4 {
		c := s.dialH2(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range streams {
			c.send(t, request("192.0.2.1"), true)
		}
		for headers, ends := 0, 0; headers+ends < streams; {
			f, err := c.framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			c.acknowledge(f)
			switch f.(type) {
			case *http2.MetaHeadersFrame:
				headers++
			case *http2.RSTStreamFrame:
				ends++
				resets++
			}
		}
	}
	if want := 4*(streams-1) - each; resets != want {
		t.Errorf("streams that were reset = %d, want %d: all beyond %d, and one for each connection", resets, want, each)
	}
	testkit.Eventually(t, "log lines", func() bool { return strings.Contains(s.log.String(), `"status":499`) })
	c := s.dialH2(t)
	for range 3 * streams {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // for each step, or it would depend on the machine
		if res := c.response(t, c.send(t, request("192.0.2.2"), true)); res.status != 401 || res.problem.Code != "missing_key" {
			t.Fatalf("response to another client = %d %s, want 401", res.status, res.body)
		}
	}
}
