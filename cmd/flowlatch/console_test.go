package main

import (
	"os"
	"strings"
	"testing"
)

// TestDocsConsole runs the commands that pages show in ```console blocks, with the key file that README.md shows, and
// checks that they print what the page says. A line of … stands for any number of lines.
func TestDocsConsole(t *testing.T) {
	_, rest, _ := strings.Cut(page(t, "README.md"), "```yaml\n")
	keys, _, _ := strings.Cut(rest, "```")
	all := pages(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("keys.yaml", []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for name, text := range all {
		for _, block := range strings.Split(text, "```console\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			for _, session := range strings.Split("\n"+block, "\n$ ")[1:] {
				ran++
				command, want, _ := strings.Cut(session, "\n")
				_, out, errs := flowlatch(t, shellWords(t, command)[1:]...)
				if got := out + errs; !prints(got, want) {
					t.Errorf("%s: $ %s\nprints:\n%s\nwant:\n%s", name, command, got, want)
				}
			}
		}
	}
	if ran < 3 {
		t.Errorf("commands in console blocks = %d, want 3 or more: are they still found?", ran)
	}
}

// prints reports whether got is what a page shows. A line of … stands for lines that are left out. Space at the end of
// a line does not count.
func prints(got, shown string) bool {
	trim := func(s string) string {
		lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
		for i, line := range lines {
			lines[i] = strings.TrimRight(line, " ")
		}
		return "\n" + strings.Join(lines, "\n") + "\n"
	}
	parts := strings.Split(trim(shown), "\n…\n")
	rest := trim(got)
	for i, part := range parts {
		part = strings.TrimSuffix(strings.TrimPrefix(part, "\n"), "\n")
		switch before, after, found := strings.Cut(rest, "\n"+part+"\n"); {
		case part == "" && len(parts) > 1: // a gap at the beginning or the end
		case !found, i == 0 && before != "", i == len(parts)-1 && after != "":
			return false
		default:
			rest = "\n" + after
		}
	}
	return true
}
