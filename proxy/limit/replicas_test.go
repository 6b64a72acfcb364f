package limit

import (
	"net/netip"
	"testing"
	"time"
)

// TestReplicas has gates come and go. A share shrinks at once, and grows after the number of gates has been stable.
func TestReplicas(t *testing.T) {
	a, b, c := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	r := replicas{own: []netip.Addr{netip.MustParseAddr("127.0.0.1"), b}}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for n, step := range []struct {
		after time.Duration
		all   []netip.Addr
		want  Share
	}{
		{0, []netip.Addr{b}, Share{0, 1}},
		{0, []netip.Addr{b, a}, Share{1, 2}},
		{0, []netip.Addr{c, b, a, a}, Share{1, 3}},
		{0, []netip.Addr{b, c}, Share{1, 3}}, // one fewer, but not for long
		{29 * time.Second, []netip.Addr{b, c}, Share{1, 3}},
		{time.Second, []netip.Addr{b, c}, Share{0, 2}},
		{0, []netip.Addr{b}, Share{0, 2}},
		{20 * time.Second, []netip.Addr{b, c}, Share{0, 2}}, // it is back
		{20 * time.Second, []netip.Addr{b}, Share{0, 2}},
		{30 * time.Second, []netip.Addr{b}, Share{0, 1}},
		{0, []netip.Addr{a, c}, Share{2, 3}}, // this gate is not ready, and the others count on having everything
		{0, []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.2"), a, c}, Share{1, 3}},
	} {
		now = now.Add(step.after)
		if got, _ := r.heard(step.all, now); got != step.want {
			t.Errorf("step %d, %v after %s: share = %+v, want %+v", n+1, step.all, step.after, got, step.want)
		}
	}
}
