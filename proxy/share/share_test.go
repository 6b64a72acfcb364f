package share_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/share"
)

// TestPool takes from a pool of 10, where a client may have 4. By chance, two clients may have the same counter, but not
// in three pools in a row.
func TestPool(t *testing.T) {
	t.Parallel()
	var faults []string
	for range 3 {
		if faults = takeAndGive(share.NewPool(10, 4)); faults == nil {
			return
		}
	}
	t.Error(strings.Join(faults, "\n"))
}

func takeAndGive(p *share.Pool) (faults []string) {
	for i, step := range []struct {
		client string
		n      int64 // negative: gives back
		want   bool
	}{
		{"192.0.2.1", 4, true},
		{"192.0.2.1", 1, false}, // it has its share
		{"192.0.2.2", 4, true},
		{"2001:db8::1", 2, true},
		{"192.0.2.3", 1, false}, // everything is taken
		{"192.0.2.2", -4, true},
		{"2001:db8::2", 3, false}, // one of the same /64 has 2
		{"2001:db8::2", 2, true},
		{"192.0.2.2", 2, true},
		{"192.0.2.2", 1, false},
	} {
		client := netip.MustParseAddr(step.client)
		if step.n < 0 {
			p.Give(client, -step.n)
			continue
		}
		if got := p.Take(client, step.n); got != step.want {
			faults = append(faults, fmt.Sprintf("step %d: Take(%s, %d) = %t, want %t", i+1, step.client, step.n, got, step.want))
		}
	}
	return faults
}
