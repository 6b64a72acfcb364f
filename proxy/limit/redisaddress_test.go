package limit

import (
	"errors"
	"net"
	"slices"
	"testing"
)

// TestMovedTo checks to which address an error of Redis redirects, if to any.
func TestMovedTo(t *testing.T) {
	for _, tt := range []struct{ err, want string }{
		{"MOVED 3238 127.0.0.1:6381", "127.0.0.1:6381"},
		{"MOVED 3238 ::1:6381", "[::1]:6381"},
		{"MOVED 3238 redis-1.example.com:6381", "redis-1.example.com:6381"},
		{"MOVED 3238 :6381", "redis:6381"}, // the host that was asked
		{"ASK 3238 127.0.0.1:6381", ""},
		{"NOAUTH Authentication required.", ""},
		{"MOVED 3238", ""},
		{"", ""},
	} {
		if got, moved := movedTo(errors.New(tt.err), "redis:6379"); got != tt.want || moved != (tt.want != "") {
			t.Errorf("movedTo(%q) = %q, %v, want %q", tt.err, got, moved, tt.want)
		}
	}
}

// TestNodeAddresses parses replies to CLUSTER NODES of Redis 7.0 and 4.0. The latter omits its own host.
func TestNodeAddresses(t *testing.T) {
	got := nodeAddresses("07c37d 127.0.0.1:30004@31004,hostname4 slave e7d1ee 0 1426238317239 4 connected\n" +
		"67ed2d ::1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n" +
		"e7d1ee :30001@31001 myself,master - 0 0 1 connected 0-5460\n\nx\n")
	if want := []string{"127.0.0.1:30004", "[::1]:30002"}; !slices.Equal(got, want) {
		t.Errorf("nodeAddresses = %q, want %q", got, want)
	}
}

// FuzzNodeAddresses: whatever a server replies, there are few addresses, and each has a host and a port.
func FuzzNodeAddresses(f *testing.F) {
	f.Add("07c37d 127.0.0.1:30004@31004,hostname4 slave e7d1ee 0 1426238317239 4 connected\n67ed2d ::1:30002@31002 master")
	f.Add("a :1@\nb [::1]:2\nc d\ne f:\n")
	f.Fuzz(func(t *testing.T, reply string) {
		all := nodeAddresses(reply)
		if len(all) > maxNodes {
			t.Errorf("nodeAddresses(%q) has %d, want at most %d", reply, len(all), maxNodes)
		}
		for _, a := range all {
			if host, _, err := net.SplitHostPort(a); err != nil || host == "" {
				t.Errorf("nodeAddresses(%q) has %q: %v, want a host and a port", reply, a, err)
			}
		}
	})
}
