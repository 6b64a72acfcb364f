package main

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	// tried matches what docs/advisories.md says about requests: one or more of them, and the status without a key and
	// with the key of another chatflow, or one status for both.
	tried      = regexp.MustCompile("((?:`[A-Z]+ [^`]+`(?:, )?)+): (\\d{3})(?:, (\\d{3}))?")
	triedCalls = regexp.MustCompile("`([A-Z]+) ([^`]+)`")
)

// TestDocsAdvisories sends every request of the table in docs/advisories.md through a gate with all groups exposed.
// None may reach the upstream.
func TestDocsAdvisories(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(page(t, "docs/advisories.md"), "| advisory | what it lets an outsider do | stopped by |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/advisories.md has no table of advisories")
	}
	runner := newEcho()
	g := startGate(t, runner, "--expose", "predict,widget,upsert,mcp,webhook", "--failure-limit", "off")
	requests := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			break
		}
		matches := tried.FindAllStringSubmatch(cells[3], -1)
		if len(matches) == 0 {
			t.Errorf("row of %s names no request that was tried", cells[1])
		}
		for _, m := range matches {
			for _, call := range triedCalls.FindAllStringSubmatch(m[1], -1) {
				requests++
				want := []string{m[2], m[2]}
				if m[3] != "" {
					want[1] = m[3]
				}
				target := g.URL + triedPath(call[2])
				got := []string{
					strconv.Itoa(send(t, call[1], target, "", triedBody(call[2])).status),
					strconv.Itoa(send(t, call[1], target, g.batch, triedBody(call[2])).status),
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %s without a key and with another chatflow's = %v, docs/advisories.md says %v", call[1], call[2], got, want)
				}
			}
		}
	}
	if requests < 60 {
		t.Errorf("%d requests in the table of docs/advisories.md, want 60 and more: is it read whole?", requests)
	}
	if n := len(runner.requests); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
	for target, body := range map[string]string{ // what the table says about bodies
		"/api/v1/text-to-speech/generate": `{"credentialId":"x"}`,
		"/api/v1/leads":                   `{"chatflowid":"` + webChatflow + `","id":"x"}`,
	} {
		if got := send(t, http.MethodPost, g.URL+target, g.web, body).status; got != http.StatusBadRequest {
			t.Errorf("POST %s with %s = %d, want 400", target, body, got)
		}
	}
}

func triedPath(path string) string {
	path = strings.NewReplacer("{chatflow}", webChatflow, "{chatId}", "c1", "{id}", "00000000-0000-4000-8000-000000000001").Replace(path)
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/api/v1/" + path
}

// triedBody returns a body that names the chatflow, for paths that do not.
func triedBody(path string) string {
	switch {
	case strings.HasPrefix(path, "leads"):
		return `{"chatflowid":"` + webChatflow + `"}`
	case strings.HasPrefix(path, "text-to-speech"):
		return `{"chatflowId":"` + webChatflow + `"}`
	}
	return ""
}
