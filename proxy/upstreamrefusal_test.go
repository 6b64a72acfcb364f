package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// What Flowise sends if it wants the chatflow's own key.
const (
	flowiseUnauthorized = `{"statusCode":500,"success":false,"message":"Error: predictionsServices.buildChatflow - Unauthorized","stack":{}}`
	flowiseStreamError  = "message:\ndata:" + `{"event":"error","data":"Error: predictionsServices.buildChatflow - Unauthorized"}` + "\n\n"
)

// requestLine is what a test reads of the log line of a request.
type requestLine struct {
	Level, Hint, Code string
	RequestID         string `json:"request_id"`
}

// lineOf waits for the log line of a request.
func (g *gate) lineOf(t *testing.T, id string) (line requestLine) {
	t.Helper()
	testkit.Eventually(t, "log line of "+id, func() bool {
		for text := range strings.Lines(g.log.String()) {
			if line = (requestLine{}); json.Unmarshal([]byte(text), &line) == nil && line.RequestID == id {
				return true
			}
		}
		return false
	})
	return line
}

// TestUpstreamRefusal: if the upstream refuses what the gate allowed, the log line says what to set.
func TestUpstreamRefusal(t *testing.T) {
	t.Parallel()
	const predict, upsert, mcp = "/api/v1/prediction/" + botA, "/api/v1/vector/upsert/" + botA, "/api/v1/mcp/" + botA
	forward := keystore.UpstreamAuthorization{Mode: keystore.UpstreamForward}
	file := keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: testkit.WriteFile(t, "credential", "a-token-of-flowise")}
	for name, tt := range map[string]struct {
		path    string
		status  int
		kind    string // Content-Type
		body    string
		setting keystore.UpstreamAuthorization
		want    []string // in the hint; empty if there is none
	}{
		"401":                    {predict, 401, "", "", keystore.UpstreamAuthorization{}, []string{"was sent no credential, and wants the key that the chatflow still has in Flowise; set upstream_authorization"}},
		"401, forwarded":         {predict, 401, "", "", forward, []string{"did not accept the client's key"}},
		"401, from a file":       {predict, 401, "", "", file, []string{"did not accept the credential in " + file.Path}},
		"403":                    {predict, 403, "", "", keystore.UpstreamAuthorization{}, []string{"no credential", "or the chatflow's allowed domains"}},
		"upsert":                 {upsert, 401, "", "", keystore.UpstreamAuthorization{}, []string{"an API key of Flowise (3.0.13 and newer)"}},
		"MCP":                    {mcp, 401, "", "", keystore.UpstreamAuthorization{}, []string{"the token that Flowise shows"}},
		"webhook":                {"/api/v1/webhook/" + botA, 401, "", "", keystore.UpstreamAuthorization{}, []string{"the upstream wants the signature"}},
		"500 for a key":          {predict, 500, "application/json", flowiseUnauthorized, keystore.UpstreamAuthorization{}, []string{"the key that the chatflow still has in Flowise"}},
		"500 for a key, upsert":  {upsert, 500, "application/json", `{"message":"Error: vectorsService.upsertVector - Unauthorized"}`, keystore.UpstreamAuthorization{}, []string{"the key that the chatflow still has in Flowise"}},
		"a stream's error":       {predict, 200, "text/event-stream", flowiseStreamError, keystore.UpstreamAuthorization{}, []string{"the key that the chatflow still has in Flowise"}},
		"500 of another kind":    {predict, 500, "application/json", `{"message":"Error: predictionsServices.buildChatflow - Model overloaded"}`, keystore.UpstreamAuthorization{}, nil},
		"the client's own words": {predict, 200, "text/event-stream", "message:\ndata:" + quoted(`{"event":"error","data":"Error: predictionsServices.buildChatflow - Unauthorized"}`) + "\n\n", keystore.UpstreamAuthorization{}, nil},
		"not a stream":           {predict, 200, "application/json", flowiseUnauthorized, keystore.UpstreamAuthorization{}, nil},
		"404":                    {predict, 404, "", "", keystore.UpstreamAuthorization{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var healthy atomic.Bool
			g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
				if healthy.Load() {
					return
				}
				w.Header().Set("Content-Type", tt.kind)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}, func(o *proxy.Options) { o.UpstreamAuthorization, o.QuietAllowed = tt.setting, tt.want != nil })
			line := g.lineOf(t, g.send(t, http.MethodPost, tt.path, secretA))
			if (line.Hint != "") != (tt.want != nil) || line.Hint != "" && line.Level != "warn" || line.Code != "" {
				t.Fatalf("line = %+v, want a hint at warn: %t", line, tt.want != nil)
			}
			for _, want := range tt.want {
				if !strings.Contains(line.Hint, want) {
					t.Errorf("hint = %q, want %q in it", line.Hint, want)
				}
			}
			got := g.proxy.Stats().UpstreamRefusals()
			if len(got) != len(tt.want[:min(1, len(tt.want))]) {
				t.Fatalf("UpstreamRefusals() = %v, want one: %t", got, tt.want != nil)
			}
			if tt.want == nil {
				return
			}
			if r := got[0]; r.Chatflow != botA || r.Status != tt.status || r.Hint != line.Hint || r.Time.IsZero() || r.Route == "" {
				t.Errorf("UpstreamRefusals() = %+v, want the request", r)
			}
			healthy.Store(true)
			g.send(t, http.MethodPost, tt.path, secretA)
			testkit.Eventually(t, "end of the refusals", func() bool { return len(g.proxy.Stats().UpstreamRefusals()) == 0 })
		})
	}
}

// quoted returns s as it is written in a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(map[string]string{"event": "token", "data": s})
	return string(b)
}

// TestUpstreamRefusalsAreFew: the log has at most one hint a minute for each chatflow, whatever clients do.
func TestUpstreamRefusalsAreFew(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, nil)
	for range 20 {
		g.send(t, http.MethodPost, "/api/v1/prediction/"+botA, secretA)
		g.send(t, http.MethodPost, "/api/v1/prediction/"+botB, secretB)
	}
	status(t, g.URL+"/api/v1/ping") // needs no key
	testkit.Eventually(t, "all lines", func() bool { return strings.Count(g.log.String(), `"message":"request"`) == 41 })
	if n := strings.Count(g.log.String(), `"hint":`); n != 2 {
		t.Errorf("lines with a hint = %d, want 2", n)
	}
	if got := g.proxy.Stats().UpstreamRefusals(); len(got) != 2 {
		t.Errorf("UpstreamRefusals() = %d, want one for each chatflow", len(got))
	}
}

// TestUpstreamKeys: every preset says what the upstream may want.
func TestUpstreamKeys(t *testing.T) {
	t.Parallel()
	for _, p := range route.Presets() {
		if p.UpstreamKey == "" {
			t.Errorf("UpstreamKey of preset %s is empty", p.Name)
		}
	}
}
