package limit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestClientsAreForgotten: a client address whose rate is full again and that has nothing open is forgotten, and not only
// when the month ends.
func TestClientsAreForgotten(t *testing.T) {
	var l limit.Local
	holders := []limit.Holder{{Kind: limit.Client, ID: "x", Client: netip.MustParseAddr("192.0.2.1"), Limits: parse(t, "requests: 2/1m, concurrent: 1")}}
	var g limit.Grant
	l.Begin(&g, holders, noon)
	for _, tt := range []struct {
		after time.Duration
		end   bool
		want  int
	}{{0, false, 1}, {time.Hour, false, 1}, {time.Hour, true, 0}} {
		if tt.end {
			l.End(&g, limit.Use{})
		}
		l.Prune(noon.Add(tt.after))
		if got := l.Clients(); got != tt.want {
			t.Errorf("clients after %s, ended: %t = %d, want %d", tt.after, tt.end, got, tt.want)
		}
	}
}
