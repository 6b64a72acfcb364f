package proxy_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestAbsoluteTargets sends whole URLs in the request line, as clients do that take the gate for a proxy. The decision is
// about the path, and the upstream gets only the path.
func TestAbsoluteTargets(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/prediction/" + botA
	for _, tt := range []struct {
		name, publicURL string
		secure          bool
		target          string
		accepted        bool
	}{
		{"any name", "", false, "http://gate" + path, true},
		{"any name, a port", "", false, "http://gate.example:8080" + path, true},
		{"an address", "", false, "http://[::1]:8080" + path, true},
		{"another than Host says", "", false, "http://other.example" + path, true}, // RFC 9112, section 3.2.2: Host is ignored
		{"the other scheme", "", false, "https://gate" + path, false},
		{"over TLS", "", true, "https://gate" + path, true},
		{"over TLS, the other scheme", "", true, "http://gate" + path, false},
		{"the public URL", "https://chat.example.com", false, "https://chat.example.com" + path, true},
		{"the public URL with its port", "https://chat.example.com", false, "https://chat.example.com:443" + path, true},
		{"the public URL as it was typed", "https://Chat.example.com:443", false, "https://chat.example.com" + path, true},
		{"the public URL by the other scheme", "https://chat.example.com", false, "http://chat.example.com" + path, false},
		{"the public URL with another port", "https://chat.example.com", false, "https://chat.example.com:8443" + path, false},
		{"another name than the public URL's", "https://chat.example.com", false, "https://evil.example" + path, false},
		{"a name that begins like the public URL's", "https://chat.example.com", false, "https://chat.example.com.evil.example" + path, false},
		{"the public URL with a user", "https://chat.example.com", false, "https://x@chat.example.com" + path, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial := dialPlain
			if tt.secure {
				dial = dialTLS
			}
			s, conn := dial(t, nil, func(o *proxy.Options) {
				if tt.publicURL != "" {
					o.PublicURL = mustURL(t, tt.publicURL)
				}
			})
			send := func(conn net.Conn, target, key string) *response {
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gate\r\n%s%s\r\nContent-Length: 2\r\n\r\n{}", target, key, jsonType)
				return readResponse(t, conn)
			}
			res := send(conn, tt.target, bearerOf(secretA)+"\r\n")
			r, _, n := s.upstream.last()
			if !tt.accepted {
				checkProblem(t, res, http.StatusBadRequest, problem.NotCanonical)
				if n != 0 {
					t.Errorf("%d requests reached the upstream, want none", n)
				}
				return
			}
			if res.status != 200 || n != 1 || r.RequestURI != path {
				t.Fatalf("response = %d %s, %d requests reached the upstream, the last as %v; want 200 and %s", res.status, res.body, n, r, path)
			}
			want := s.upstream.Listener.Addr().String()
			if tt.publicURL != "" {
				want = mustURL(t, tt.publicURL).Host
			}
			if r.Host != want {
				t.Errorf("Host at the upstream = %q, want %q, whatever the client says", r.Host, want)
			}
			if res := send(conn, tt.target, ""); res.problem.Code != string(problem.MissingKey) {
				t.Errorf("response without a key = %d %s, want missing_key", res.status, res.body)
			}
		})
	}
}
