package token

import (
	"strings"
	"testing"
)

// FuzzSessionOf: it does not matter how cookies are spread over headers, and a value that is found is in the headers.
func FuzzSessionOf(f *testing.F) {
	for _, header := range []string{"", "__Host-flowlatch=x", "a=b; __Host-flowlatch=x; c", "__Host-flowlatch=x;__Host-flowlatch=y", " __Host-flowlatch = x ", "=__Host-flowlatch=x", "__Host-flowlatch", ";;"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		value, n := sessionOf([]string{header})
		if split, m := sessionOf(strings.Split(header, ";")); split != value || m != n {
			t.Errorf("sessionOf(%q) = %q, %d, and split over headers %q, %d", header, value, n, split, m)
		}
		if !strings.Contains(header, value) || strings.Contains(value, ";") || n > strings.Count(header, sessionCookie) {
			t.Errorf("sessionOf(%q) = %q, %d, which is not there", header, value, n)
		}
		if again, m := sessionOf([]string{header, sessionCookie + "=last"}); m != n+1 || again != "last" {
			t.Errorf("sessionOf(%q and another) = %q, %d, want %d", header, again, m, n+1)
		}
	})
}
