package proxy

import (
	"strings"
	"testing"
)

// FuzzCookieNamed: how cookies are spread over headers changes nothing, and what is found is there.
func FuzzCookieNamed(f *testing.F) {
	for _, header := range []string{"", "__Host-flowlatch=x", "a=b; __Host-flowlatch=x; c", "__Host-flowlatch=x;__Host-flowlatch=y", " __Host-flowlatch = x ", "=__Host-flowlatch=x", "__Host-flowlatch", ";;"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		value, n := cookieNamed([]string{header}, sessionCookie)
		if split, m := cookieNamed(strings.Split(header, ";"), sessionCookie); split != value || m != n {
			t.Errorf("cookieNamed(%q) = %q, %d, and split over headers %q, %d", header, value, n, split, m)
		}
		if !strings.Contains(header, value) || strings.Contains(value, ";") || n > strings.Count(header, sessionCookie) {
			t.Errorf("cookieNamed(%q) = %q, %d, which is not there", header, value, n)
		}
		if again, m := cookieNamed([]string{header, sessionCookie + "=last"}, sessionCookie); m != n+1 || again != "last" {
			t.Errorf("cookieNamed(%q and another) = %q, %d, want %d", header, again, m, n+1)
		}
	})
}
