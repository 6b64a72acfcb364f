//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// feature is something that a visitor does with the chat widget, and the request that it depends on.
type feature struct{ name, method, path string }

// features are the rows of the table in docs/widget.md, in its order.
var features = []feature{
	{"opening the chat", http.MethodGet, "public-chatbotConfig/"},
	{"a question, streamed", http.MethodPost, "prediction/"},
	{"a question, whole", http.MethodPost, "prediction/"},
	{"an image in the question", http.MethodPost, "prediction/"},
	{"speaking a question", http.MethodPost, "prediction/"},
	{"stopping a response", http.MethodPut, "chatmessage/abort/"},
	{"uploading a file", http.MethodPost, "attachments/"},
	{"showing an image again, after a reload", http.MethodGet, "get-upload-file"},
	{"thumbs up or down", http.MethodPost, "feedback/"},
	{"a comment to the thumb", http.MethodPut, "feedback/"},
	{"the lead form", http.MethodPost, "leads/"},
	{"files for a RAG chatflow", http.MethodPost, "vector/upsert/"},
	{"speaking a response", http.MethodPost, "text-to-speech/generate"},
	{"downloading a file annotation", http.MethodPost, "openai-assistants-file/download"},
}

// widgetVersions are the tried versions of flowise-embed. The table is about the first; the others lack some features,
// and send no key with a streamed question.
var widgetVersions = []struct {
	version string
	lacks   []string
	keyed   bool // sends the key with a streamed question
}{
	{"3.1.6", nil, true},
	{"3.0.5", []string{"stopping a response"}, false},
	{"2.1.2", []string{"stopping a response", "speaking a response"}, false},
}

// widgets uses every feature of the chat widget in a browser, on public chatflows and on keyed ones, and compares what
// happens with docs/widget.md.
func widgets(t *testing.T, l *lab) {
	flows := l.widgetFlows(t)
	page := startPage(t, nil)
	const secret = "secret-of-the-page-0123456789"
	l.secrets = append(l.secrets, secret)
	public, keyed := l.widgetGate(t, flows, page.url, "public: true", "", "off"), l.widgetGate(t, flows, page.url, "keys: [page]", secret, "off")
	limited := l.widgetGate(t, flows, page.url, "keys: [page]", secret, "1/10m")
	used := l.widgetGate(t, flows, page.url, "keys: [page], limits: {requests: 1/744h}", secret, "off")
	for _, flow := range flows {
		send(t, used.URL, request{method: http.MethodGet, path: "/api/v1/chatflows-uploads/" + flow, key: secret})
	}
	questions := []string{"a question, streamed", "a question, whole"}
	const needsKey = "This chat needs an API key."
	for _, w := range widgetVersions {
		if only := os.Getenv("E2E_WIDGET"); only != "" && only != w.version {
			continue
		}
		for _, access := range []struct {
			name, gate, key  string
			status, sentence string // of a refusal; empty if docs/widget.md says what happens
		}{
			{"`public: true`", public.URL, "", "", ""},
			{"key in `onRequest`", keyed.URL, secret, "", ""},
			{"no key", keyed.URL, "", "401", needsKey},
			{"wrong key", keyed.URL, "not-a-secret-of-this-gate-0123", "401", "The API key of this chat is not valid."},
			{"too many without a key", limited.URL, "", "429", "Too many attempts. Please try again later."},
			{"limit reached", used.URL, secret, "429", "Too many messages in a short time. Please try again in a moment."},
		} {
			t.Run(w.version+", "+access.name, func(t *testing.T) {
				s := scenario{Widget: w.version, Gate: access.gate, Key: access.key, Flows: flows, Features: questions}
				if access.status == "" {
					s.Features = l.tried(t, w.lacks, access.name, access.key == "" || w.keyed)
				}
				for _, r := range page.use(t, s) {
					t.Logf("%s: %s", r.Feature, r)
					status, sentence := access.status, access.sentence
					// Where the limit is reached it does not learn that it could stream.
					if r.Feature == "a question, streamed" && access.key != "" && !w.keyed && access.status != "429" {
						status, sentence = "401", needsKey
					}
					got := r.outcome(t)
					switch want := l.expected(t, r.Feature, access.name); {
					case status == "" && got != want:
						t.Errorf("%s: %s, want %s as docs/widget.md has it; %s\n%s", r.Feature, got, want, r, l.flowise.proc.tail(12))
					case status != "" && (got != status || r.Text != sentence):
						t.Errorf("%s: %s, shown %q, want %s and %q", r.Feature, got, r.Text, status, sentence)
					}
				}
			})
		}
	}
}

// tried returns the features that are tried: those that the widget has, where docs/widget.md says what happens. One whose
// streamed questions are refused can do nothing that comes after a response.
func (l *lab) tried(t *testing.T, lacks []string, column string, answered bool) (names []string) {
	t.Helper()
	for _, f := range features {
		first := f.name == "opening the chat" || strings.HasPrefix(f.name, "a question")
		if !slices.Contains(lacks, f.name) && l.expected(t, f.name, column) != "–" && (answered || first) {
			names = append(names, f.name)
		}
	}
	return names
}

// outcome is what became of a feature: "works", or the status of its request.
func (r result) outcome(t *testing.T) string {
	t.Helper()
	for _, f := range features {
		if f.name != r.Feature {
			continue
		}
		for i := len(r.Calls) - 1; i >= 0; i-- {
			switch c := r.Calls[i]; {
			case c.Method != f.method || !strings.HasPrefix(c.Path, f.path):
			case c.Status < 0:
				return "404" // to the preflight, so that the browser sends nothing
			case c.Status != http.StatusOK:
				return fmt.Sprint(c.Status)
			case r.Error == "":
				return "works"
			default:
				return r.Error
			}
		}
	}
	return "no request; " + r.Error
}

var tableRow = regexp.MustCompile(`(?m)^\| (.+) \|$`)

// expected returns the first word of a cell of the table in docs/widget.md.
func (l *lab) expected(t *testing.T, name, column string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/widget.md")
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, m := range tableRow.FindAllStringSubmatch(string(text), -1) {
		cells := strings.Split(m[1], " | ")
		if cells[0] == "feature" {
			columns = cells
		}
		if cells[0] != name || len(cells) != len(columns) {
			continue
		}
		for i, c := range columns {
			if c == column+", "+l.flowise.version {
				word, _, _ := strings.Cut(cells[i], " ")
				return strings.Trim(word, ",;:")
			}
		}
		return ""
	}
	t.Errorf("docs/widget.md has no row %q", name)
	return ""
}

// widgetGate starts a gate that lets the page call and opens the chatflows as access says.
func (l *lab) widgetGate(t *testing.T, flows map[string]string, origin, access, secret, failures string) *testkit.Gate {
	t.Helper()
	own := testkit.WriteFile(t, "flowise.key", l.flows.key)
	content := "version: 1\n"
	if secret != "" {
		content += "keys:\n  - {id: page, secret: " + secret + "}\n"
	}
	content += "chatflows:\n"
	for name, id := range flows {
		authorization := ""
		if name == "rag" && !l.flowise.is2() {
			authorization = ", upstream_authorization: 'file:" + own + "'"
		}
		content += fmt.Sprintf("  - {id: %s, name: %s, %s%s}\n", id, name, access, authorization)
	}
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return l.serve(t, keys, "--expose", "predict,widget,upsert", "--cors-origins", origin, "--failure-limit", failures)
}
