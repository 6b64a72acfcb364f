package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// help returns the help of a command.
func help(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(testkit.Build(t), append(command, "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("flowlatch %s --help: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

var (
	helpVariable = regexp.MustCompile(`\$(FLOWLATCH_[A-Z_]+)`)
	helpFlag     = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(--[a-z-]+)`)
	helpKeys     = regexp.MustCompile(`--keys="([^"]+)"`)
)

// matches returns the first group of each match.
func matches(re *regexp.Regexp, text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// readFile returns a file of deploy.
func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files returns the files of deploy/folder whose name ends in one of suffixes, as paths below deploy.
func files(t *testing.T, folder string, suffixes ...string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", "..", "deploy", folder), func(path string, d os.DirEntry, err error) error {
		for _, s := range suffixes {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, s) {
				rel, err := filepath.Rel(filepath.Join("..", "..", "deploy"), path)
				if err != nil {
					return err
				}
				paths = append(paths, rel)
			}
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("files of %s: %v, %v, want some", folder, paths, err)
	}
	return paths
}

// TestVariablesExist checks that each FLOWLATCH_ variable in a file is a setting.
func TestVariablesExist(t *testing.T) {
	known := matches(helpVariable, help(t, "serve"))
	if !known["FLOWLATCH_UPSTREAM"] {
		t.Fatalf("settings of serve --help = %v, want FLOWLATCH_UPSTREAM among them", known)
	}
	named := regexp.MustCompile(`\b(FLOWLATCH_[A-Z_]+)\b`)
	injected := "FLOWLATCH_PORT" // by Kubernetes; comments mention it
	for _, folder := range []string{"compose", "kubernetes"} {
		for _, path := range files(t, folder, ".yaml", ".example", ".md") {
			for name := range matches(named, readFile(t, path)) {
				if !known[name] && name != injected {
					t.Errorf("%s: there is no setting %s", path, name)
				}
			}
		}
	}
}

// commandLine matches a command line of flowlatch on a page.
var commandLine = regexp.MustCompile(`(?m)(?:flowlatch|-T) (serve|check|doctor|explain|import|healthcheck|usage|key new|key list|key which|key grant|key withdraw|key rotate|key revoke|key enable|key delete|key prune)\b([^|>\n` + "`" + `]*)`)

// TestPages checks that command lines of flowlatch on the pages have flags that exist, and that links lead to files that exist.
func TestPages(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	flag := regexp.MustCompile(`(--[a-z][a-z-]*)`)
	calls := 0
	for _, folder := range []string{"compose", "kubernetes", "prometheus", "examples", "../docs"} {
		for _, path := range files(t, folder, ".md", "compose.yaml") {
			text := readFile(t, path)
			for _, m := range commandLine.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", ""), -1) {
				calls++
				known := matches(helpFlag, help(t, strings.Fields(m[1])...))
				for f := range matches(flag, m[2]) {
					if !known[f] {
						t.Errorf("%s: flowlatch %s has no flag %s", path, m[1], f)
					}
				}
			}
			for target := range matches(link, text) {
				if _, err := os.Stat(filepath.Join("..", "..", "deploy", filepath.Dir(path), target)); err != nil {
					t.Errorf("%s: link to %s: %v", path, target, err)
				}
			}
		}
	}
	if calls < 5 {
		t.Errorf("found %d command lines of flowlatch on the pages, want at least 5", calls)
	}
}
