package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// pages returns every page of the repository by its path, with its text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("../..")
	found := map[string]string{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "node_modules" || d.Name() == "dist"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".md"):
			text, err := fs.ReadFile(root, name)
			found[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks checks that what the pages of the repository link to exists, and that docs/README.md leads to every page.
func TestLinks(t *testing.T) {
	all := pages(t)
	if len(all) < 10 {
		t.Fatalf("%d pages, want all there are", len(all))
	}
	for name, text := range all {
		for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			to, fragment, _ := strings.Cut(m[1], "#")
			to = path.Join(path.Dir(name), to)
			if _, err := os.Stat(filepath.Join("../..", filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
				continue
			}
			if fragment != "" && !hasHeading(all[to], fragment) {
				t.Errorf("%s links to %s, where there is no such heading", name, m[1])
			}
		}
	}
	index := all["docs/README.md"]
	for name := range all {
		up := path.Join("..", name)
		if !strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "deploy/") || name == "docs/README.md" {
			continue
		}
		up = strings.TrimPrefix(strings.TrimSuffix(up, "/README.md"), "../docs/")
		if !strings.Contains(index, "("+up+")") && !strings.Contains(index, "("+up+"/README.md)") {
			t.Errorf("docs/README.md does not link to %s", name)
		}
	}
}

// hasHeading reports whether a page has a heading, or an anchor, that a fragment leads to.
func hasHeading(text, fragment string) bool {
	if strings.Contains(text, `<a id="`+fragment+`">`) {
		return true
	}
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			title = strings.ToLower(strings.TrimSpace(title))
			if strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(title, ""), " ", "-") == fragment {
				return true
			}
		}
	}
	return false
}

// TestProseWidth checks that no line of prose is too wide to be read in an editor, and that README.md stays short.
func TestProseWidth(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		if strings.HasPrefix(name, "tools/") {
			continue // programs write those
		}
		code := false
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			code = code != strings.HasPrefix(strings.TrimSpace(line), "```")
			prose := !code && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "![") && !strings.HasPrefix(line, "    ")
			if n := utf8.RuneCountInString(line); prose && n > 160 {
				t.Errorf("%s: a line of %d characters, want at most 160: %.60s…", name, n, line)
			}
		}
	}
	if lines, bytes := strings.Count(all["README.md"], "\n"), len(all["README.md"]); lines > 150 || bytes > 12<<10 {
		t.Errorf("README.md has %d lines and %d bytes, want at most 150 and 12 KiB; let it lead to a page", lines, bytes)
	}
}

// TestContributing checks that the files which CONTRIBUTING.md names are there, and that it gives a reason for every
// dependency of go.mod.
func TestContributing(t *testing.T) {
	text := pages(t)["CONTRIBUTING.md"]
	files := map[string]bool{} // by each end of their path
	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		}
		for rest := name; rest != ""; _, rest, _ = strings.Cut(rest, "/") {
			files[rest] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([A-Za-z0-9_/-]+\\.(?:go|md|js))`").FindAllStringSubmatch(text, -1)
	if len(names) < 30 {
		t.Fatalf("CONTRIBUTING.md names %d files, want those of a request and of a reload", len(names))
	}
	for _, m := range names {
		if !files[m[1]] {
			t.Errorf("CONTRIBUTING.md names %s, which is not there", m[1])
		}
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		if !strings.Contains(text, "\n| "+m[1]+" |") {
			t.Errorf("CONTRIBUTING.md has no line for the dependency %s", m[1])
		}
	}
}

// TestPagesSay checks that pages say what new users once got stuck on because it was missing.
func TestPagesSay(t *testing.T) {
	all := pages(t)
	for _, tt := range []struct{ page, what, words string }{
		{"README.md", "that go run compiles first", "prints nothing while it compiles"},
		{"README.md", "where Flowise shows the ID of a chatflow", "/canvas/"},
		{"deploy/kubernetes/README.md", "where the chart comes from", "helm repo add"},
		{"deploy/compose/README.md", "who may write the key file", "sudoedit keys/keys.yaml"},
		{"docs/operations.md", "how Flowise is told of the gate", "NUMBER_OF_PROXIES=1"},
		{"docs/other-runners.md", "how n8n is told of the gate", "N8N_PROXY_HOPS=1"},
		{"docs/keys.md", "how a chatflow is added to a key", "## Add a chatflow to a key"},
	} {
		if !strings.Contains(all[tt.page], tt.words) {
			t.Errorf("%s does not say %s: %q", tt.page, tt.what, tt.words)
		}
	}
}

// TestSecretsAreIgnored checks that git ignores the secrets which the pages' commands make in a clone.
func TestSecretsAreIgnored(t *testing.T) {
	ignore, err := os.ReadFile("../../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	ignored := strings.Split(string(ignore), "\n")
	out := regexp.MustCompile(`--out (\S+)`)
	for name, text := range pages(t) {
		for _, m := range out.FindAllStringSubmatch(text, -1) {
			file := path.Base(strings.Trim(m[1], "`\"'.,;:)"))
			if file == "FILE" {
				continue
			}
			matched := false
			for _, pattern := range ignored {
				ok, _ := path.Match(strings.Trim(pattern, "/"), file)
				matched = matched || ok
			}
			if !matched {
				t.Errorf("%s: git does not ignore %s, which holds a secret", name, file)
			}
		}
	}
}
