package admin_test

import (
	"slices"
	"strings"
	"testing"
)

// TestGuard has web pages of other sites try to read the admin listener or send it commands. Programs are not affected,
// whatever name they use for it.
func TestGuard(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	chrome := []string{"User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept-Language: en"}
	with := func(headers ...string) []string { return append(slices.Clone(chrome), headers...) }
	for _, tt := range []struct {
		name, method, path, host string
		headers                  []string
		want                     int
	}{
		{"by address", "GET", "/", "127.0.0.1:9901", with("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"), 200},
		{"by IPv6 address", "GET", "/", "[::1]:9901", chrome, 200},
		{"by IPv6 address without a port", "GET", "/", "[::1]", chrome, 200},
		{"by an IPv4 address in IPv6", "GET", "/", "[::ffff:127.0.0.1]", chrome, 200},
		{"by the address of a pod", "GET", "/status", "10.1.2.3:9901", chrome, 200},
		{"by localhost", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: same-origin"), 200},
		{"by a name of compose", "GET", "/status", "flowlatch:9901", chrome, 200},
		{"by a name of Kubernetes", "GET", "/status", "flowlatch.default.svc.cluster.local:9901", chrome, 200},
		{"by a name of Kubernetes with a dot", "GET", "/status", "FLOWLATCH.default.SVC.:9901", chrome, 200},
		{"rebinding, the page", "GET", "/", "evil.example:9901", chrome, 421},
		{"rebinding, the status", "GET", "/status", "evil.example:9901", with("Sec-Fetch-Site: same-origin"), 421},
		{"rebinding, metrics", "GET", "/metrics", "evil.example:9901", chrome, 421},
		{"rebinding, an order", "POST", "/-/reload", "evil.example:9901", with("Origin: http://evil.example:9901"), 421},
		{"rebinding, an address in the name", "GET", "/status", "127.0.0.1.nip.example:9901", chrome, 421},
		{"rebinding, localhost in the name", "GET", "/status", "localhost.evil.example", chrome, 421},
		{"rebinding, svc in the name", "GET", "/status", "svc.evil.example", chrome, 421},
		{"rebinding, no user agent of its own", "GET", "/status", "evil.example", []string{"User-Agent: curl/8", "Accept-Language: "}, 421},
		{"rebinding, no host", "GET", "/status", "", chrome, 421},
		{"another site reads", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"another port reads", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Origin: http://localhost:3000"), 403},
		{"another site loads it as a script", "GET", "/status/page.js", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"another site links here", "GET", "/", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 200},
		{"another site's form orders a reload", "POST", "/-/reload", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Origin: http://evil.example"), 403},
		{"another site's form orders a reload, old browser", "POST", "/-/reload", "localhost:9901", with("Origin: http://evil.example"), 403},
		{"another site orders a reload, headers of a program", "POST", "/-/reload", "example.com", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"Prometheus by the address of a pod", "GET", "/metrics", "10.1.2.3:9901", []string{"User-Agent: Prometheus/3.0.0", "Accept-Encoding: gzip"}, 200},
		{"Prometheus by a public name", "GET", "/metrics", "gate.example.com:9901", []string{"User-Agent: Prometheus/3.0.0"}, 200},
		{"the kubelet", "GET", "/readyz", "10.1.2.3:9901", []string{"User-Agent: kube-probe/1.34"}, 200},
		{"the kubelet with a host of its own", "GET", "/livez", "gate.example.com", []string{"User-Agent: kube-probe/1.34"}, 200},
		{"curl by a public name", "POST", "/-/reload", "gate.example.com:9901", []string{"User-Agent: curl/8.5.0"}, 200},
	} {
		w := g.ask(tt.method, tt.path, tt.host, tt.headers...)
		if w.Code != tt.want {
			t.Errorf("%s: %s %s of %q = %d, want %d", tt.name, tt.method, tt.path, tt.host, w.Code, tt.want)
		}
		if w.Code != 200 && strings.Contains(w.Body.String(), "key-a") {
			t.Errorf("%s: the refusal shows a key ID: %s", tt.name, w.Body)
		}
	}
}
