package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// TestLinks checks that what a page of the repository links to is there, and that docs/README.md leads to every page.
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

// TestContributing checks that the files which CONTRIBUTING.md names are there.
func TestContributing(t *testing.T) {
	text := pages(t)["CONTRIBUTING.md"]
	names := regexp.MustCompile("`([a-z_/]+\\.go)`").FindAllStringSubmatch(text, -1)
	if len(names) < 30 {
		t.Fatalf("CONTRIBUTING.md names %d files, want those of a request and of a reload", len(names))
	}
	for _, m := range names {
		found := false
		for _, dir := range []string{"", "proxy", "keystore", "cmd/flowlatch"} {
			_, err := os.Stat(filepath.Join("../..", dir, m[1]))
			found = found || err == nil
		}
		if !found {
			t.Errorf("CONTRIBUTING.md names %s, which is not there", m[1])
		}
	}
}
