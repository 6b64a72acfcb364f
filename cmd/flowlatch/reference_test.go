package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// page returns the text of a page, given by its path from the root of the repository.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting is a row of the table in docs/settings.md: its flag, variable and default.
type setting struct{ flag, env, value string }

// settingRow matches a row whose first cell is a flag, however wide the table is written.
var settingRow = regexp.MustCompile("(?m)^\\|\\s*`(--[a-z-]+)`\\s*\\|\\s*(?:`([A-Z_]+)`)?\\s*\\|\\s*(?:`([^`|]*)`|none|-|–|—)?\\s*\\|")

// flagRow matches any row that begins with a flag, for those that settingRow does not understand.
var flagRow = regexp.MustCompile("(?m)^\\|\\s*`--.*$")

func TestDocsSettings(t *testing.T) {
	text := page(t, "docs/settings.md")
	got := map[string]setting{}
	for _, m := range settingRow.FindAllStringSubmatch(text, -1) {
		if _, twice := got[m[1]]; twice {
			t.Errorf("docs/settings.md has two rows of %s, want one", m[1])
		}
		got[m[1]] = setting{m[1], m[2], m[3]}
	}
	if rows := flagRow.FindAllString(text, -1); len(rows) != len(got) {
		t.Errorf("rows of docs/settings.md that begin with a flag = %d, of which %d can be read as | `--flag` | `VARIABLE` | `default` | … |:\n%s",
			len(rows), len(got), strings.Join(rows, "\n"))
	}
	want := map[string]setting{}
	for name, f := range settingFlags(t) {
		s := setting{flag: "--" + name, value: f.Default}
		if len(f.Envs) > 0 {
			s.env = f.Envs[0]
		}
		want[s.flag] = s
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(setting{})); diff != "" {
		t.Errorf("settings (-as serve has them +as docs/settings.md has them):\n%s", diff)
	}
}

// commandRow matches a row of the table in docs/commands.md; shownCommand a command in it or elsewhere.
var (
	commandRow   = regexp.MustCompile("(?m)^\\| (`flowlatch .*?) \\|")
	shownCommand = regexp.MustCompile(`(?m)(?:^|\$ |&& |; )(?:sudo -u flowlatch )?(?:\./|/)?flowlatch ([a-z]+(?: (?:new|list|which|grant|withdraw|rotate|revoke|enable|delete|prune)\b)?)`)
)

// TestDocsCommands compares the table in docs/commands.md with the commands, and looks for those that pages show.
func TestDocsCommands(t *testing.T) {
	var got []string
	for _, row := range commandRow.FindAllStringSubmatch(page(t, "docs/commands.md"), -1) {
		for _, m := range shownCommand.FindAllStringSubmatch(codeOf(row[1]), -1) {
			got = append(got, m[1])
		}
	}
	names := slices.DeleteFunc(commandNames(t), func(name string) bool { return name == "completion" || name == "man" }) // about to be removed
	if diff := cmp.Diff(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("commands (-as flowlatch has them +as docs/commands.md has them):\n%s", diff)
	}
	shown := 0
	for name, text := range pages(t) {
		for _, m := range shownCommand.FindAllStringSubmatch(codeOf(text), -1) {
			shown++
			if m[1] != "key" && !slices.Contains(names, m[1]) {
				t.Errorf("%s shows `flowlatch %s`, want a command that there is", name, m[1])
			}
		}
	}
	if shown < 50 {
		t.Errorf("commands on pages = %d, want 50 or more: are they still found?", shown)
	}
}

// codeOf returns what a page shows as code: its blocks, and each span on a line of its own.
func codeOf(text string) string {
	var b strings.Builder
	block := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			block = !block
		case block:
			b.WriteString(line)
		default:
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				b.WriteString(m[1] + "\n")
			}
		}
	}
	return b.String()
}

// TestDocsRoutes compares the table of route groups in docs/routes.md with the routes of the preset flowise.
func TestDocsRoutes(t *testing.T) {
	var got, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| (.*(?:`[A-Z]|any method on).*) \\|$").FindAllStringSubmatch(page(t, "docs/routes.md"), -1) {
		for _, m := range codeSpan.FindAllStringSubmatch(strings.ReplaceAll(row[2], "any method on `", "`* "), -1) {
			route, _, _ := strings.Cut(m[1], "?")
			got = append(got, row[1]+" "+route)
		}
	}
	for _, r := range route.Flowise().Routes {
		want = append(want, r.Group+" "+strings.Join(r.Methods, ", ")+" "+strings.TrimPrefix(r.Path, "/api/v1/"))
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("routes (-as the preset flowise has them +as docs/routes.md has them):\n%s", diff)
	}
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(flowlatch_[a-z_]+)(?:\\{[a-z_,]+\\})?` \\|")
	metricName = regexp.MustCompile(`^flowlatch_[a-z_]+$`)
)

// TestDocsMetrics compares the table in docs/metrics.md with the names of metrics in the source.
func TestDocsMetrics(t *testing.T) {
	var got []string
	for _, m := range metricRow.FindAllStringSubmatch(page(t, "docs/metrics.md"), -1) {
		got = append(got, m[1])
	}
	var want []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"deploy", "test", "tools", "dist", "node_modules"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if name, err := strconv.Unquote(literal.Value); err == nil && metricName.MatchString(name) && !slices.Contains(want, name) {
				want = append(want, name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("metrics (-as the source names them +as docs/metrics.md has them):\n%s", diff)
	}
}

// TestDocsKeyFiles checks that the key files which docs/keys.md shows can be read: every field of the
// reference, in YAML and in JSON.
func TestDocsKeyFiles(t *testing.T) {
	_, text, _ := strings.Cut(page(t, "docs/keys.md"), "\n## The key file\n")
	files := map[string]string{}
	for _, kind := range []string{"yaml", "json"} {
		_, rest, _ := strings.Cut(text, "```"+kind+"\n")
		files[kind], _, _ = strings.Cut(rest, "```")
	}
	for kind, content := range files {
		code, _, errs := flowlatch(t, "check", "--keys", testkit.WriteFile(t, "keys."+kind, content))
		if code != exitOK || content == "" {
			t.Errorf("check of the key file in %s = %d, %s; want 0", kind, code, errs)
		}
	}
}

// TestDocsLogCodes checks that docs/logs.md names the codes that only log lines have.
func TestDocsLogCodes(t *testing.T) {
	source, text := page(t, "proxy/problem/codes.go"), page(t, "docs/logs.md")
	codes := regexp.MustCompile(`(?m)^\t\w+ +Code = "([a-z_]+)"`).FindAllStringSubmatch(source, -1)
	found := 0
	for _, m := range codes {
		if code := problem.Code(m[1]); code.Index() >= 0 {
			continue // docs/errors.md has it
		}
		found++
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("docs/logs.md does not name the code %s", m[1])
		}
	}
	if found == 0 {
		t.Errorf("of %d codes in the source none is for log lines only; they are no longer read correctly", len(codes))
	}
}

// errorRow matches a row of the table in docs/errors.md: status and code.
var errorRow = regexp.MustCompile("(?m)^\\| (\\d{3}) \\| \\[`([a-z_]+)`\\]\\(#([a-z_]+)\\) \\|")

// TestDocsErrors compares the table in docs/errors.md with the codes, and checks that the address in the `type` of an
// error leads to a section of that page.
func TestDocsErrors(t *testing.T) {
	if types := problem.Types; !strings.HasSuffix(types, "/docs/errors.md#") {
		t.Errorf("ProblemTypes = %q, want it to lead to sections of docs/errors.md", types)
	}
	text := page(t, "docs/errors.md")
	got, want := map[string]string{}, map[string]string{}
	for _, m := range errorRow.FindAllStringSubmatch(text, -1) {
		if m[2] != m[3] {
			t.Errorf("the row of %s links to #%s, want its own section", m[2], m[3])
		}
		got[m[2]] += m[1]
	}
	for _, c := range problem.Codes() {
		code := string(c)
		want[code] = strconv.Itoa((&problem.Error{Code: c}).Status())
		if heading := "\n## " + code + "\n"; strings.Count(text, heading) != 1 {
			t.Errorf("sections of docs/errors.md about %s = %d, want 1", code, strings.Count(text, heading))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes and their status (-proxy +docs/errors.md):\n%s", diff)
	}
}
