package proxy_test

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	times := func(all uint64, within ...uint64) stats.ResponseTimes {
		for len(within) < len(stats.Buckets()) {
			within = append(within, within[len(within)-1])
		}
		return stats.ResponseTimes{Within: within, All: all}
	}
	last := stats.Buckets()[len(stats.Buckets())-1]
	for _, tt := range []struct {
		name    string
		times   stats.ResponseTimes
		q, want float64
	}{
		{"none", times(0, 0), 0.5, 0},
		{"all in the first bucket", times(10, 10), 0.5, 0.0005},
		{"half in the first bucket, the rest in the third", times(10, 5, 5, 10), 0.5, 0.001},
		{"the same, 95 %", times(10, 5, 5, 10), 0.95, 0.005 + 0.9*0.02},
		{"all above the last bound", times(10, 0), 0.5, last},
		{"some above the last bound", times(10, 1), 0.95, last},
		{"since", times(20, 10, 10, 20).Since(times(10, 10)), 0.5, 0.015},
		{"since nothing", times(10, 10).Since(stats.ResponseTimes{}), 0.5, 0.0005},
	} {
		if got := tt.times.Quantile(tt.q); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: quantile %v = %v, want %v", tt.name, tt.q, got, tt.want)
		}
	}
}

// TestResponseTimes: what counts is the time until the response header, not the end of the response, and only of allowed
// requests.
func TestResponseTimes(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	g.send(t, "GET", "/api/v1/chatflows", secretA) // refused
	g.send(t, "POST", "/api/v1/prediction/"+botA, secretA)
	testkit.Eventually(t, "counts", func() bool { all, _ := g.proxy.Stats().Totals(); return all.Requests == 2 })
	times := g.proxy.Stats().ResponseTimes()
	if times.All != 1 || times.Within[len(times.Within)-1] != 1 {
		t.Errorf("response times = %+v, want that of the allowed request alone", times)
	}
	_, metrics := g.adminGet(t, http.MethodGet, "/metrics")
	header, whole := metric(t, metrics, `flowlatch_response_header_seconds_sum{route="prediction"}`), metric(t, metrics, `flowlatch_request_duration_seconds_sum{route="prediction"}`)
	if header <= 0 || header >= whole {
		t.Errorf("seconds to the header = %v, to the end %v; want less to the header", header, whole)
	}
}

// metric returns the value of a series.
func metric(t *testing.T, metrics, series string) float64 {
	t.Helper()
	_, rest, found := strings.Cut(metrics, "\n"+series+" ")
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if !found || err != nil {
		t.Fatalf("metrics have no %s: %v", series, err)
	}
	return n
}
