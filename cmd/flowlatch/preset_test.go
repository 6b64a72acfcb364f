package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestDoctorOfPresets examines a gate in front of each kind of upstream, and the upstream without a gate, whose own
// refusals must not be taken for a gate's.
func TestDoctorOfPresets(t *testing.T) {
	t.Parallel()
	for preset, upstream := range map[string]struct{ refusal, call string }{
		"langflow": {`{"detail":"An API key must be passed as query or header"}`, "/api/v1/run/"},
		"n8n":      {`{"code":404,"message":"The requested webhook is not registered.","hint":""}`, "/webhook/"},
	} {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			runner := newEcho()
			g := startGate(t, runner, "--preset", preset)
			admin := strings.TrimPrefix(g.Admin, "http://")
			rows := runDoctor(t, 0, "--url", g.URL, "--admin", admin, "--preset", preset)
			wantRow(t, rows, "spellings", "ok none of ")
			if n := len(runner.requests); n != 0 {
				t.Errorf("%d requests of the doctor reached the runner, want none", n)
			}
			rows = runDoctor(t, 1, "--url", g.URL, "--admin", admin)
			wantRow(t, rows, "preset", "FAULT the gate runs with preset "+preset)
			p := start(t, []string{"FLOWLATCH_PRESET=" + preset}, "doctor", "--url", g.URL, "--admin", admin)
			if code := p.Wait(t); code != exitOK {
				t.Errorf("doctor with FLOWLATCH_PRESET=%s = %d, want 0", preset, code)
			}

			bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, upstream.refusal)
			}))
			defer bare.Close()
			rows = runDoctor(t, 1, "--url", bare.URL, "--admin", admin, "--preset", preset)
			wantRow(t, rows, "spellings", "OPEN POST "+upstream.call)
		})
	}
}

// TestPresetServes sends a request through a gate with each preset, and looks at the credential that the upstream gets.
func TestPresetServes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ preset, path, header, want string }{
		{"flowise", "/api/v1/prediction/", "Authorization", "Bearer the-runners-own-key"},
		{"langflow", "/api/v1/run/", "X-Api-Key", "the-runners-own-key"},
		{"n8n", "/webhook/", "Authorization", "Bearer the-runners-own-key"},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			credential := testkit.WriteFile(t, "credential", "the-runners-own-key\n")
			if err := os.Chmod(credential, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Parallel()
			upstream := newEcho()
			g := startGate(t, upstream, "--preset", tt.preset, "--upstream-authorization", "file:"+credential)
			if res := send(t, http.MethodPost, g.URL+tt.path+webChatflow, g.web, "{}"); res.status != http.StatusOK {
				t.Fatalf("response = %d %s, want 200", res.status, res.body)
			}
			r := <-upstream.requests
			if got := append(slices.Clone(r.Header["Authorization"]), r.Header["X-Api-Key"]...); len(got) != 1 || r.Header.Get(tt.header) != tt.want {
				t.Errorf("credentials at the upstream = %q, want %q as %s alone", got, tt.want, tt.header)
			}
			if res := send(t, http.MethodPost, g.URL+tt.path+batchChatflow, g.web, "{}"); res.code() != "key_not_for_chatflow" {
				t.Errorf("another chatflow: response = %d %s, want key_not_for_chatflow", res.status, res.body)
			}
			if got := g.AwaitLog(t, "serving")["preset"]; got != tt.preset {
				t.Errorf("preset of the start-up line = %v, want %s", got, tt.preset)
			}
		})
	}
}

// TestOtherRunnersPage checks the parts of docs/other-runners.md that a program can read: the settings file, and the
// table of what each preset sets.
func TestOtherRunnersPage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/other-runners.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	_, rest, _ := strings.Cut(page, "```yaml\n")
	settings, _, _ := strings.Cut(rest, "```")
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nchatflows:\n  - {id: profile, public: true}\n")
	code, out, errs := flowlatch(t, "explain", "POST", "/webhook/user/profile", "--keys", keys, "--config", testkit.WriteFile(t, "flowlatch.yaml", settings))
	if code != exitOK || !strings.Contains(out, "/webhook/user/{chatflow}") {
		t.Errorf("explain with the page's settings file = %d, %s%s; want 0 and its route", code, out, errs)
	}
	for i, p := range route.Presets() {
		for row, want := range map[string]string{"open if": p.Expose[0], "the upstream's credential": p.CredentialHeader} {
			for line := range strings.Lines(page) {
				if !strings.HasPrefix(line, "| "+row) {
					continue
				}
				if cells := strings.Split(line, "|"); !strings.Contains(cells[i+2], "`"+want+"`") {
					t.Errorf("row %q of the page says %q of %s, want %s", row, cells[i+2], p.Name, want)
				}
			}
		}
		for _, r := range p.Routes {
			if p.Name == "langflow" && !strings.Contains(page, "| `"+r.Group+"` | `POST "+r.Path+"` |") {
				t.Errorf("the page has no row of group %s with POST %s", r.Group, r.Path)
			}
		}
		if !strings.Contains(page, p.Upstream) && p.Name != "flowise" {
			t.Errorf("the page does not say where %s listens: %s", p.Name, p.Upstream)
		}
	}
}
