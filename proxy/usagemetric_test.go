package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestUsageMetric: flowlatch_usage_total counts what each key has sent upstream, and has no key that is not in the key
// file.
func TestUsageMetric(t *testing.T) {
	t.Parallel()
	s := serveGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "12345")
	}, 0)
	usage := func() (series []string) {
		t.Helper()
		_, metrics := s.adminGet(t, "GET", "/metrics")
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "flowlatch_usage_total{") {
				series = append(series, strings.TrimSpace(line))
			}
		}
		return series
	}
	post := func(chatflow, secret string) {
		t.Helper()
		req, err := http.NewRequest("POST", s.base+"/api/v1/prediction/"+chatflow, strings.NewReader(`{"question":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	for range 3 {
		post(botA, secretA)
	}
	post(botB, secretA) // refused
	post(botB, secretB)
	want := regexp.MustCompile(`^flowlatch_usage_total\{key="key-a",unit="bytes"\} 63
flowlatch_usage_total\{key="key-a",unit="requests"\} 3
flowlatch_usage_total\{key="key-a",unit="stream_seconds"\} [0-9.e-]+
flowlatch_usage_total\{key="key-b",unit="bytes"\} 21
flowlatch_usage_total\{key="key-b",unit="requests"\} 1
flowlatch_usage_total\{key="key-b",unit="stream_seconds"\} [0-9.e-]+$`)
	testkit.Eventually(t, "usage of both keys", func() bool { return want.MatchString(strings.Join(usage(), "\n")) })
	without := strings.ReplaceAll(keyFile, "  - {id: key-b, secret: "+secretB+"}\n", "")
	without = strings.ReplaceAll(without, "keys: [key-b]", "keys: [ops]")
	testkit.ReplaceFile(t, s.keys, without)
	if code, body := s.adminGet(t, "POST", "/-/reload"); code != 200 {
		t.Fatalf("reload = %d %s", code, body)
	}
	testkit.Eventually(t, "usage of the removed key is gone", func() bool { return len(usage()) == 3 })
}
