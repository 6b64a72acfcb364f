package proxy_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestMetrics: label values come from the key file and the route table. Nothing that clients send creates a series.
func TestMetrics(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	predict := "/api/v1/prediction/"
	for range 2 {
		g.request(t, "POST", predict+botA, "{}", bearerOf(secretA), jsonType)
	}
	g.request(t, "POST", predict+botB, "{}", bearerOf(secretA), jsonType)
	for i := range 20 {
		id := strings.Replace(unlisted, "ffffffff", "0000000"+string(rune('a'+i%6)), 1)
		g.request(t, "POST", predict+id, "{}", bearerOf("unknown-key-"+strings.Repeat("x", i+5)), jsonType)
		g.request(t, "M"+strings.Repeat("X", i), "/path-"+strings.Repeat("y", i), "")
	}
	var metrics string
	testkit.Eventually(t, "last count", func() bool {
		_, metrics = g.adminGet(t, "GET", "/metrics")
		return strings.Contains(metrics, `flowlatch_denied_total{code="not_exposed"} 20`)
	})
	for _, want := range []string{
		`flowlatch_requests_total{chatflow="bot-a",code="200",key="key-a",route="prediction"} 2`,
		`flowlatch_requests_total{chatflow="` + botB + `",code="403",key="key-a",route="prediction"} 1`,
		`flowlatch_requests_total{chatflow="*",code="401",key="",route="prediction"} 20`,
		`flowlatch_requests_total{chatflow="",code="404",key="",route=""} 20`,
		`flowlatch_denied_total{code="invalid_key"} 20`,
		`flowlatch_denied_total{code="key_not_for_chatflow"} 1`,
		`flowlatch_denied_total{code="draining"} 0`,
		`flowlatch_request_duration_seconds_count{route="prediction"} 23`,
		`flowlatch_streams_active 0`,
		`flowlatch_build_info{version="test"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "flowlatch_requests_total") && (strings.Contains(line, "xxx") || strings.Contains(line, "0000000")) {
			t.Errorf("series = %s, want none with a client's words", line)
		}
	}
}
