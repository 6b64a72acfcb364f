package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting is a row of README's table of settings: its flag, variable and default.
type setting struct{ flag, env, value string }

// settingRow matches a row whose first cell is a flag, however wide the table is written.
var settingRow = regexp.MustCompile("(?m)^\\|\\s*`(--[a-z-]+)`\\s*\\|\\s*(?:`([A-Z_]+)`)?\\s*\\|\\s*(?:`([^`|]*)`|none|-|–|—)?\\s*\\|")

// flagRow matches any row that begins with a flag, for those that settingRow does not understand.
var flagRow = regexp.MustCompile("(?m)^\\|\\s*`--.*$")

func TestReadmeSettings(t *testing.T) {
	text := readme(t)
	got := map[string]setting{}
	for _, m := range settingRow.FindAllStringSubmatch(text, -1) {
		if _, twice := got[m[1]]; twice {
			t.Errorf("README has two rows of %s, want one", m[1])
		}
		got[m[1]] = setting{m[1], m[2], m[3]}
	}
	if rows := flagRow.FindAllString(text, -1); len(rows) != len(got) {
		t.Errorf("rows of README that begin with a flag = %d, of which %d can be read as | `--flag` | `VARIABLE` | `default` | … |:\n%s",
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
		t.Errorf("settings of README (-as serve has them +as README has them):\n%s", diff)
	}
}

func TestReadmeCommands(t *testing.T) {
	text := readme(t)
	names := commandNames(t)
	for _, name := range names {
		if !regexp.MustCompile(`\bflowlatch ` + name + `\b`).MatchString(text) {
			t.Errorf("README does not mention `flowlatch %s`", name)
		}
	}
	// What it shows must be there.
	known := regexp.MustCompile(`^(` + strings.Join(names, "|") + `|--help)\b`)
	for _, m := range regexp.MustCompile("(?m)(?:^|`|\\$ |&& )flowlatch ([a-z-][^`\n]*)").FindAllStringSubmatch(text, -1) {
		if !known.MatchString(m[1]) {
			t.Errorf("README shows `flowlatch %s`, want a command that there is", m[1])
		}
	}
}

// TestReadmeCodes checks that the address in the `type` of an error answer leads somewhere.
func TestReadmeCodes(t *testing.T) {
	text := readme(t)
	for _, code := range answerCodes(t) {
		if anchor := `<a id="` + code + `"></a>`; strings.Count(text, anchor) != 1 {
			t.Errorf("count(README, %q) = %d, want 1", anchor, strings.Count(text, anchor))
		}
	}
}

// answerCodes returns the codes that a response can have.
func answerCodes(t *testing.T) (codes []string) {
	t.Helper()
	for _, c := range problem.Codes() {
		codes = append(codes, string(c))
	}
	return codes
}
