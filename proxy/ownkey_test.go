package proxy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestOwnKey asks what a key may do, with a key and without.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	g, _ := limitedGate(t, nil, strings.Replace(limitsFile("requests: [2/1m, 100/day], concurrent: 3", "", ""), "{id: key-b,", "{id: key-b, not_after: 2100-01-01T00:00:00Z,", 1), nil)
	g.predict(t, botA, secretA)
	for _, tt := range []struct {
		method, path, secret string
		want                 string // JSON, or the code of the refusal
	}{
		{"GET", "/-/key", secretA, `{"id":"key-a","not_after":null,"chatflows":["bot-a"],"limits":[
			{"limit":"concurrent: 3","of":3,"used":0,"left":3,"enforced":true},
			{"limit":"requests: 2/1m","of":2,"used":1,"left":1,"resets_in_seconds":30,"enforced":true},
			{"limit":"requests: 100/day","of":100,"used":1,"left":99,"resets_in_seconds":43200,"enforced":true}]}`},
		{"GET", "/-/key", secretB, `{"id":"key-b","not_after":"2100-01-01T00:00:00Z","chatflows":["bot-a"],"limits":[]}`},
		{"GET", "/-/key", "", string(problem.MissingKey)},
		{"GET", "/-/key", "wrong-secret-0123456789", string(problem.InvalidKey)},
		{"POST", "/-/key", secretA, string(problem.MethodNotAllowed)},
		{"GET", "/-/key/", secretA, string(problem.NotExposed)},
		{"GET", "/-//key", secretA, string(problem.NotCanonical)},
		{"GET", "/%2d/key", secretA, string(problem.NotCanonical)},
		{"GET", "/-/key?id=key-b", secretA, string(problem.NotExposed)},
		{"GET", "/-/token", secretA, string(problem.MethodNotAllowed)},
		{"GET", "/-/nothing", secretA, string(problem.NotExposed)},
	} {
		var headers []string
		if tt.secret != "" {
			headers = append(headers, bearerOf(tt.secret))
		}
		res := g.request(t, tt.method, tt.path, "", headers...)
		if !strings.HasPrefix(tt.want, "{") {
			if res.problem.Code != tt.want {
				t.Errorf("%s %s with key %q = %d %s, want %s", tt.method, tt.path, tt.secret, res.status, res.body, tt.want)
			}
			continue
		}
		var got, want any
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(res.body), &got); err != nil || res.status != 200 || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s = %d %v %s, %v, want 200 and JSON that is not stored", tt.method, tt.path, res.status, res.header, res.body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s with key %q (-want +got):\n%s", tt.method, tt.path, tt.secret, diff)
		}
	}
	if _, _, n := g.upstream.last(); n != 1 {
		t.Errorf("requests that reached the upstream = %d, want the prediction alone", n)
	}
}
