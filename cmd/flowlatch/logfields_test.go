package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// logPage is what docs/logs.md says about log lines.
type logPage struct {
	fields   []string            // of the line of a request
	messages map[string][]string // fields of other lines by how their message begins
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// names returns the field names between backquotes.
func names(text string) (names []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		if regexp.MustCompile(`^[a-z_]+$`).MatchString(m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

func readLogPage(t *testing.T) logPage {
	t.Helper()
	text, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	page := logPage{messages: map[string][]string{}}
	_, rest, _ := strings.Cut(string(text), "| field | in | meaning |\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	for row := range strings.Lines(table) {
		page.fields = append(page.fields, names(strings.Split(row, "|")[1])...)
	}
	_, rest, _ = strings.Cut(rest, "| message | level | fields |\n")
	table, _, _ = strings.Cut(rest, "\n\n")
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		message := codeSpan.FindStringSubmatch(cells[1])
		if message == nil {
			continue // described in words
		}
		page.messages[strings.TrimSuffix(message[1], "…")] = names(cells[3])
	}
	if len(page.fields) < 10 || len(page.messages) < 10 {
		t.Fatalf("docs/logs.md has %d fields and %d messages; its tables are no longer read correctly", len(page.fields), len(page.messages))
	}
	return page
}

// row returns the fields that the page lists for a message.
func (p logPage) row(t *testing.T, message string) []string {
	t.Helper()
	for begins, fields := range p.messages {
		if strings.HasPrefix(message, begins) {
			return fields
		}
	}
	t.Errorf("docs/logs.md has no row for the message %q", message)
	return nil
}

// everyLine are the fields that each line has.
var everyLine = []string{"time", "level", "message"}

const tracedBy = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// sendAll sends requests whose log lines, taken together, have every field.
func (g *gate) sendAll(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.web)
	req.Header.Set("Traceparent", tracedBy)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	g.predict(t, webChatflow, "")
	g.predict(t, webChatflow, g.web) // more than the limit of the key
	g.predict(t, batchChatflow, g.batch)
	g.predict(t, batchChatflow, honeySecret)
}

const honeySecret = "secret-of-the-honey-key"

// TestRequestLineFields checks that the log line of a request has exactly the fields of docs/logs.md, and how
// --log-format console shows it.
func TestRequestLineFields(t *testing.T) {
	t.Parallel()
	page := readLogPage(t)
	echo := newEcho()
	g := startGate(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, batchChatflow) {
			w.WriteHeader(http.StatusUnauthorized) // the log line then has a hint
			return
		}
		echo.ServeHTTP(w, r)
	}))
	digest := keystore.DigestOf(g.web).String() // of a key in the middle of a rotation
	testkit.ReplaceFile(t, g.Keys, strings.Replace(g.keyFile(), "    sha256: "+digest+"\n", "    secrets:\n      - sha256: "+digest+"\n      - sha256: "+keystore.DigestOf("next").String()+"\n    limits: {requests: 1/1h, enforce: false}\n    browser: {origins: ["+pageOrigin+"]}\n  - {id: trap, honey: true, sha256: "+keystore.DigestOf(honeySecret).String()+"}\n", 1))
	if res := g.reload(t); res.status != http.StatusOK {
		t.Fatalf("reload = %d %s", res.status, res.body)
	}
	g.sendAll(t)
	if status := g.predictFromPage(t, g.mint(t)); status != http.StatusOK {
		t.Fatalf("a request with a browser token = %d, want 200", status)
	}
	testkit.Eventually(t, "lines of the requests", func() bool { return len(g.Logged(t, "request")) == 7 })
	seen := map[string]bool{}
	for _, line := range g.Logged(t, "request") {
		for field := range line {
			seen[field] = true
		}
	}
	want := slices.Sorted(slices.Values(slices.Concat(page.fields, everyLine)))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("fields of requests' lines (-docs/logs.md +written):\n%s", diff)
	}
	traced := map[string]any{}
	for _, line := range g.Logged(t, "request") { // in any order: a line may be written after the client has read the response
		if line["trace_id"] != nil {
			traced = line
		}
	}
	if id, span := traced["trace_id"], traced["span_id"]; id != "0af7651916cd43dd8448eb211c80319c" || span != "b7ad6b7169203331" {
		t.Errorf("trace_id, span_id = %v, %v, want those of %s", id, span, tracedBy)
	}

	console := startConsole(t, g.Keys)
	g.URL = console.URL
	g.sendAll(t)
	for name, want := range map[string]string{
		"allowed": ` INF 200 POST prediction support-bot key=acme-web 127\.0\.0\.1 [0-9.]+m?s [0-9a-f]{8} key_fingerprint=[0-9a-f]{8}\n`,
		"refused": ` WRN 401 missing_key POST prediction support-bot key=- 127\.0\.0\.1 [0-9.]+m?s "no bearer token" [0-9a-f]{8}\n`,
	} {
		line := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d` + want)
		testkit.Eventually(t, name+" request's line for the console", func() bool { return line.MatchString(console.Stderr.String()) })
	}
}

// startConsole starts a gate with --log-format console.
func startConsole(t *testing.T, keys string) *testkit.Gate {
	t.Helper()
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--upstream", testkit.Upstream(t, newEcho()).URL, "--log-format", "console")
	listens := regexp.MustCompile(` serving .*listen=(\S+)`)
	testkit.Eventually(t, "start-up line", func() bool { return listens.MatchString(p.Stderr.String()) })
	return &testkit.Gate{Process: p, URL: "http://" + listens.FindStringSubmatch(p.Stderr.String())[1]}
}

// TestOtherLines starts, reloads and stops a gate, and checks that each log line and field is in docs/logs.md.
func TestOtherLines(t *testing.T) {
	t.Parallel()
	page := readLogPage(t)
	s := &stream{events: make(chan string, 1), ended: make(chan struct{})}
	s.events <- "one"
	g := &gate{web: keystore.Generate(), batch: keystore.Generate()}
	base := g.keyFile()
	keys := testkit.WriteFile(t, "keys.yaml", base) // in a directory of key files, which adds a field to log lines
	g.Gate = testkit.Serve(t, testkit.Options{Upstream: testkit.Upstream(t, s).URL, Args: []string{"--drain", "0s", "--keys", filepath.Dir(keys)}})
	g.Keys = keys
	in := func(content string) { // replaces the key file and reloads it
		testkit.ReplaceFile(t, g.Keys, content)
		g.Signal(t, syscall.SIGHUP)
	}
	const applied, invalid = "key file applied", "key file is invalid; the last good keys stay active"
	for _, content := range []string{
		base + "  - id: \"*\"\n    keys: [batch]\n",                   // added
		strings.Replace(base, "name: support-bot", "name: other", 1),  // removed and changed
		strings.Replace(base, "  - id: batch\n", "  - id: more\n", 1), // invalid: names a key that does not exist
		strings.ReplaceAll(base, "batch", "more"),                     // key added and removed
		strings.ReplaceAll(base, "  - id: batch\n", "  - id: batch\n    not_after: 2200-01-01T00:00:00Z\n"),
		strings.ReplaceAll(base, "  - id: batch\n", "  - id: batch\n    disabled: true\n"),
	} {
		wasApplied, wasInvalid := len(g.Logged(t, applied)), len(g.Logged(t, invalid))
		in(content)
		testkit.Eventually(t, "reload", func() bool {
			// A fault may be logged twice, by the watch and by the signal, so a line about one counts only if there was
			// none before.
			return len(g.Logged(t, applied)) > wasApplied || wasInvalid == 0 && len(g.Logged(t, invalid)) > 0
		})
	}
	testkit.Eventually(t, "line of an unchanged file", func() bool {
		g.Signal(t, syscall.SIGHUP) // the first may coincide with the signal for the last content
		return len(g.Logged(t, "key file unchanged")) > 0
	})
	open := open(t, http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, g.web, "{}")
	defer open.Body.Close()
	g.WantExit(t, syscall.SIGTERM)

	seen := map[string]map[string]bool{}
	for _, line := range g.Log(t) {
		message, _ := line["message"].(string)
		if message == "request" {
			continue
		}
		row := page.row(t, message)
		for field := range line {
			if !slices.Contains(everyLine, field) && !slices.Contains(row, field) {
				t.Errorf("docs/logs.md has no field %q for the message %q", field, message)
			}
			if seen[message] == nil {
				seen[message] = map[string]bool{}
			}
			seen[message][field] = true
		}
	}
	for _, want := range []string{
		"serving", "key file applied", "key file unchanged", "key file is invalid; the last good keys stay active",
		"the upstream can be reached", "draining: new requests get 503, open ones may finish", "the time to drain is over; open requests are cut",
	} {
		for _, field := range page.row(t, want) {
			if !seen[want][field] {
				t.Errorf("no line %q had the field %q, want one, or no such field in docs/logs.md", want, field)
			}
		}
	}
}
