package origin

import (
	"net/url"
	"strings"
	"testing"
)

var good = []string{
	"https://www.example.com", "http://localhost:5173", "https://127.0.0.1:8443", "http://[::1]:8080", "https://[2001:db8::1]", "https://xn--mnchen-3ya.example",
	"https://a_b.example", "http://a.example:443", "https://a.example:80", "https://a.example.", "app://x", "chrome-extension://abcdefghijklmnop",
}

// others are texts that a browser does not send as an origin, each with what it sends for a URL that begins so; empty if
// that is not a URL with a host.
var others = map[string]string{
	"":                                "",
	"null":                            "",
	"*":                               "",
	"a.example":                       "",
	"//a.example":                     "",
	"https://":                        "",
	"https://:443":                    "",
	"https://a.example:x":             "",
	"https://a.example:":              "https://a.example",
	"https://a.example:443":           "https://a.example",
	"https://a.example:0443":          "https://a.example",
	"http://a.example:80":             "http://a.example",
	"http://a.example:08080":          "http://a.example:8080",
	"https://A.example":               "https://a.example",
	"HTTPS://a.example":               "https://a.example",
	"https://a.example/":              "https://a.example",
	"https://a.example/x?y#z":         "https://a.example",
	"https://u@a.example":             "https://a.example",
	"https://u:p@a.example:8443":      "https://a.example:8443",
	"http://[0:0:0:0:0:0:0:1]:80":     "http://[::1]",
	"https://[2001:DB8:0::1]:8443/":   "https://[2001:db8::1]:8443",
	"https://*.example.com":           "https://*.example.com",
	"https://münchen.example":         "https://münchen.example", // the package does not convert it to ASCII
	"https://a.example%20.example":    "",
	"https://www.example.com, https:": "",
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, s := range good {
		if !Is(s) {
			t.Errorf("Is(%q) = false, want true", s)
		}
	}
	for s, want := range others {
		if Is(s) {
			t.Errorf("Is(%q) = true, want false", s)
		}
		if u, err := url.Parse(s); want != "" && (err != nil || Of(u) != want) {
			t.Errorf("Of(%q) = %q, %v, want %q", s, Of(u), err, want)
		}
	}
	for s, want := range map[string]string{"http://a": "80", "https://a/x": "443", "https://a:80": "80", "http://[::1]": "80", "ftp://a": "", "app://a:7": "7"} {
		if u, err := url.Parse(s); err != nil || PortOf(u) != want {
			t.Errorf("PortOf(%q) = %q, %v, want %q", s, PortOf(u), err, want)
		}
	}
}

// FuzzOrigin: every URL of an origin has that origin, no other text is an origin, and the origin of an origin is itself.
func FuzzOrigin(f *testing.F) {
	for _, s := range good {
		f.Add(s)
	}
	for s := range others {
		f.Add(s)
	}
	of := func(t *testing.T, s string) string {
		t.Helper()
		u, err := url.Parse(s)
		if err != nil {
			t.Fatalf("%q is no URL: %v", s, err)
		}
		return Of(u)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if Is(s) {
			scheme, host, _ := strings.Cut(s, "://")
			for _, same := range []string{s, s + "/", s + "/x?y#z", strings.ToUpper(scheme) + "://" + strings.ToUpper(host), scheme + "://user@" + host} {
				if got := of(t, same); got != s || Is(same) != (same == s) {
					t.Errorf("Of(%q) = %q, Is = %t, want %q and that it alone is one", same, got, Is(same), s)
				}
			}
			if port := usual[scheme]; u.Port() == "" && port != "" && (Is(s+":"+port) || of(t, s+":"+port) != s) {
				t.Errorf("with its usual port, %s, %q is another origin", port, s)
			}
			if strings.ContainsAny(host, " ,/*@?#%'") {
				t.Errorf("Is(%q) = true, which has a separator in its host", s)
			}
		}
		if err != nil || u.Host == "" || u.Scheme == "" {
			return
		}
		if again, err := url.Parse(Of(u)); err == nil && Of(again) != Of(u) {
			t.Errorf("the origin of %q is %q, and that of it %q", s, Of(u), Of(again))
		}
	})
}
