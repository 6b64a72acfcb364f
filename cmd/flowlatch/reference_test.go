package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func TestDocsCommands(t *testing.T) {
	text := page(t, "docs/commands.md")
	names := commandNames(t)
	for _, name := range names {
		if !regexp.MustCompile(`\bflowlatch ` + name + `\b`).MatchString(text) {
			t.Errorf("docs/commands.md does not mention `flowlatch %s`", name)
		}
	}
	// What it shows must be there.
	known := regexp.MustCompile(`^(` + strings.Join(names, "|") + `|--help)\b`)
	for _, m := range regexp.MustCompile("(?m)(?:^|`|\\$ |&& )flowlatch ([a-z-][^`\n]*)").FindAllStringSubmatch(text, -1) {
		if !known.MatchString(m[1]) {
			t.Errorf("docs/commands.md shows `flowlatch %s`, want a command that there is", m[1])
		}
	}
}

// TestDocsErrors checks that the address in the `type` of an error answer leads somewhere.
func TestDocsErrors(t *testing.T) {
	text := page(t, "docs/errors.md")
	for _, code := range answerCodes(t) {
		if anchor := `<a id="` + code + `"></a>`; strings.Count(text, anchor) != 1 {
			t.Errorf("count(docs/errors.md, %q) = %d, want 1", anchor, strings.Count(text, anchor))
		}
	}
}

func TestAnswerCodes(t *testing.T) {
	want := []string{
		"not_canonical", "bad_chatflow_id", "bad_request", "missing_key", "invalid_key", "key_not_for_chatflow", "not_exposed",
		"method_not_allowed", "body_too_large", "unsupported_media_type", "field_not_allowed", "too_many_failures", "overloaded",
		"upstream_unreachable", "upstream_timeout", "draining",
	}
	if diff := cmp.Diff(want, answerCodes(t)); diff != "" {
		t.Errorf("codes of proxy's answers (-want +got):\n%s", diff)
	}
}

// answerCodes returns the values of proxy's exported constants of type Code, in their order.
func answerCodes(t *testing.T) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../proxy/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || len(v.Names) != 1 || len(v.Values) != 1 || !v.Names[0].IsExported() {
				continue
			}
			if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Code" {
				continue
			}
			if literal, ok := v.Values[0].(*ast.BasicLit); ok {
				code, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, code)
			}
		}
	}
	return codes
}
