//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// browsers sends requests as pages of two sites do, through a gate that allows one of them.
func browsers(t *testing.T, l *lab) {
	const page, other = "https://www.example.com", "https://other.example"
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen)
	g := l.serve(t, keys.path, "--cors-origins", page)
	path := "/api/v1/prediction/" + l.flows.fnOpen

	for origin, want := range map[string]string{page: page, other: ""} {
		preflight := request{method: http.MethodOptions, path: path, header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type",
		}}
		got := send(t, g.URL, preflight)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); got.status != http.StatusNoContent || allowed != want {
			t.Errorf("preflight of %s = %d, allowed origin %q, want 204, %q", origin, got.status, allowed, want)
		}
		q := unique()
		r := ask(l.flows.fnOpen, q, key)
		r.header = map[string]string{"Origin": origin}
		got = send(t, g.URL, r)
		if values := got.header.Values("Access-Control-Allow-Origin"); strings.Join(values, ",") != want {
			t.Errorf("response to %s allows the origins %q, want %q alone", origin, values, want)
		}
		wantText(t, r, got, echo(q))
		r.key = ""
		if allowed := send(t, g.URL, r).header.Get("Access-Control-Allow-Origin"); allowed != want {
			t.Errorf("refusal of %s allows the origin %q, want %q, or a browser does not show why", origin, allowed, want)
		}
	}
}
