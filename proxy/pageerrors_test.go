package proxy_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestPageErrors sends requests like those of Flowise's widget, which shows the sentence that it gets.
func TestPageErrors(t *testing.T) {
	t.Parallel()
	const sentence = "This chat needs an API key."
	page := []string{"Origin: https://www.example.com", jsonType}
	for _, tt := range []struct {
		name, preset, mediaType string
		headers                 []string
	}{
		{"widget, streamed", "flowise", "text/plain; charset=utf-8", append(page, "Accept: text/event-stream")},
		{"widget, whole", "flowise", "application/json", append(page, "Accept: */*")},
		{"program", "flowise", "application/problem+json", []string{jsonType, "Accept: */*"}},
		{"program, streamed", "flowise", "application/problem+json", []string{jsonType, "Accept: text/event-stream"}},
		{"another runner", "langflow", "application/problem+json", append(page, "Accept: */*")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := "/api/v1/prediction/" + botA
			g := newGate(t, nil, func(o *proxy.Options) {
				if tt.preset == "langflow" {
					o.Preset, o.Expose, target = route.Langflow(), nil, "/api/v1/run/"+botA
				}
			})
			res := g.request(t, "POST", target, "{}", tt.headers...)
			if got := res.header.Get("Content-Type"); res.status != 401 || got != tt.mediaType || !strings.Contains(res.body, sentence) || res.header.Get("X-Request-Id") == "" {
				t.Errorf("response = %d, %s, %s; want 401, %s with %q in it", res.status, got, res.body, tt.mediaType, sentence)
			}
			if tt.mediaType[:4] == "text" && res.body != sentence {
				t.Errorf("body = %q, want %q alone", res.body, sentence)
			}
		})
	}
}
