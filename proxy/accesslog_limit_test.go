package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// logOf returns the log of a gate that takes no time to serve requests. do sends the requests with get, which returns the
// status.
func logOf(t *testing.T, do func(get func(path, key string) (status int))) string {
	t.Helper()
	log := &testkit.Buffer{}
	o := Options{Log: zerolog.New(log).Level(zerolog.InfoLevel)}
	bubble(t, o, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, gate *pipeListener) {
		client := &http.Transport{DialContext: gate.dial}
		defer client.CloseIdleConnections()
		do(func(path, key string) int {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate"+path, http.NoBody)
			if key != "" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			res, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return res.StatusCode
		})
	})
	return log.String()
}

// TestLogLinesOfRefusalsAreLimited floods the gate with refusals of one kind. Not all of them get a log line, but all are
// counted, and a refusal of another kind still gets its line.
func TestLogLinesOfRefusalsAreLimited(t *testing.T) {
	t.Parallel()
	const flood = 400
	log := logOf(t, func(get func(path, key string) int) {
		for range flood {
			if got := get("/api/v1/chatflows-uploads/ffffffff-ffff-4fff-8fff-ffffffffffff", ""); got != 401 && got != 429 {
				t.Fatalf("response = %d, want 401 or 429", got)
			}
		}
		get("/api/v1/chatflows", "")
	})
	lines, counted, notFound := 0, 0, 0
	for line := range strings.Lines(log) {
		var l struct {
			Message, Code string
			Codes         map[string]int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		switch l.Code {
		case "missing_key", "too_many_failures":
			lines++
		case "not_exposed":
			notFound++
		}
		for _, n := range l.Codes {
			counted += n
		}
	}
	if lines+counted != flood || counted == 0 || notFound != 1 {
		t.Errorf("%d lines and %d requests counted, %d lines of another code, want %d in all, some of them only counted, and 1", lines, counted, notFound, flood)
	}
}

// TestLogLinesOfLimitsAreLimited: a client that keeps exceeding the limit of its key cannot fill a disk, and does not
// hide what happens to another key.
func TestLogLinesOfLimitsAreLimited(t *testing.T) {
	t.Parallel()
	const flood = 400
	log := &testkit.Buffer{}
	store, err := keystore.Open(testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n"+
		"  - {id: hammer, secret: secret-of-hammer-0123456789, limits: {requests: 1/day}}\n"+
		"  - {id: other, secret: secret-of-other-0123456789, limits: {requests: 1/day}}\n"+
		"chatflows:\n  - {id: "+bubbleBot+", keys: [hammer, other]}\n"), keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	upstream, _ := url.Parse("http://upstream")
	p, err := New(Options{Store: store, Upstream: upstream, Log: zerolog.New(log).Level(zerolog.InfoLevel)})
	if err != nil {
		t.Fatal(err)
	}
	p.transport = noUpstream{}
	ask := func(secret string) {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/prediction/"+bubbleBot, strings.NewReader(benchBody))
		r.RequestURI = r.URL.Path
		r.Header.Set("Authorization", "Bearer "+secret)
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	for range flood + 1 {
		ask("secret-of-hammer-0123456789")
	}
	for range 2 {
		ask("secret-of-other-0123456789")
	}
	p.sampler.summarize()
	var summary struct{ Codes map[string]int }
	lines := map[string]int{}
	for line := range strings.Lines(log.String()) {
		var l struct {
			Code, Key string
			Codes     map[string]int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if l.Codes != nil {
			summary.Codes = l.Codes
		}
		lines[l.Key+" "+l.Code]++
	}
	counted := summary.Codes["quota_exceeded"]
	if n := lines["hammer quota_exceeded"]; n+counted != flood || n < sampleBurst || counted == 0 {
		t.Errorf("%d lines and %d counted of the key that hammers, want %d in all, some of them only counted", n, counted, flood)
	}
	if lines["other quota_exceeded"] != 1 || lines["hammer "] != 1 || lines["other "] != 1 {
		t.Errorf("lines = %v, want one of the other key, and one of each request that was let in", lines)
	}
}

// TestLogLinesOfPublicRequestsAreLimited: requests that need no key cannot fill a disk, and those with a key still get
// their line.
func TestLogLinesOfPublicRequestsAreLimited(t *testing.T) {
	t.Parallel()
	const flood = 300
	log := logOf(t, func(get func(path, key string) int) {
		for range flood {
			if got := get("/api/v1/ping", ""); got != 200 {
				t.Fatalf("ping = %d, want 200", got)
			}
		}
		get("/api/v1/chatflows-uploads/"+bubbleBot, bubbleKey)
	})
	lines := strings.Count(log, `"route":"ping"`)
	if lines >= flood || lines < 50 || !strings.Contains(log, `"allowed_without_key":`) {
		t.Errorf("%d lines of %d requests without a key, want some of them and a count of the rest", lines, flood)
	}
	if n := strings.Count(log, `"key":"a"`); n != 1 {
		t.Errorf("%d lines of the request with a key, want 1", n)
	}
}
