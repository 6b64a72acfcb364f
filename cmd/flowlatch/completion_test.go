package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// complete asks bash what it offers for the last of the words, which are split as bash splits them.
func complete(t *testing.T, dir string, words ...string) (offered []string) {
	t.Helper()
	_, script, _ := flowlatch(t, "completion", "bash")
	cmd := exec.Command("bash", append([]string{"--norc", "-u", "-c", script + `
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_flowlatch
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"`, "bash"}, words...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("completion of %q: %v\n%s", words, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.Contains(line, "compopt: not currently executing") {
			offered = append(offered, line)
		}
	}
	return offered
}

func TestBashCompletion(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	file := testkit.WriteFile(t, "my keys.yaml", "")
	dir := strings.TrimSuffix(file, "/my keys.yaml")
	for _, tt := range []struct{ words, want []string }{
		{[]string{"flowlatch", "ke"}, []string{"key"}},
		{[]string{"flowlatch", "key", "r"}, []string{"rotate", "revoke"}},
		{[]string{"flowlatch", "key", "rotate", "--o"}, []string{"--overlap"}},
		{[]string{"flowlatch", "key", "rotate", "--id", ""}, nil},
		{[]string{"flowlatch", "serve", ""}, nil},
		{[]string{"flowlatch", "serve", "--log-"}, []string{"--log-level", "--log-allowed", "--log-format"}},
		{[]string{"flowlatch", "serve", "--log-level", ""}, []string{"debug", "info", "warn", "error"}},
		{[]string{"flowlatch", "serve", "--log-level", "="}, []string{"debug", "info", "warn", "error"}},
		{[]string{"flowlatch", "serve", "--log-level", "=", "w"}, []string{"warn"}},
		{[]string{"flowlatch", "serve", "--log-allowed", "=", ""}, []string{"true", "false"}},
		{[]string{"flowlatch", "serve", "--log-allowed", "--log-f"}, []string{"--log-format"}},
		{[]string{"flowlatch", "serve", "--log-level", "warn", "--adm"}, []string{"--admin"}},
		{[]string{"flowlatch", "serve", "--keys", "my"}, []string{"my keys.yaml"}},
		{[]string{"flowlatch", "serve", "--listen", ""}, nil},
		{[]string{"flowlatch", "completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"flowlatch", "explain", "P"}, []string{"POST", "PUT"}},
		{[]string{"flowlatch", "--"}, []string{"--help"}},
	} {
		if diff := cmp.Diff(tt.want, complete(t, dir, tt.words...)); diff != "" {
			t.Errorf("complete(%q) (-want +got):\n%s", tt.words, diff)
		}
	}
	for _, name := range commandNames(t) {
		words := append([]string{"flowlatch"}, strings.Fields(name)...)
		words[len(words)-1] = words[len(words)-1][:len(words[len(words)-1])-1]
		if got := complete(t, dir, words...); !slices.Contains(got, name[strings.LastIndexByte(name, ' ')+1:]) {
			t.Errorf("complete(%q) = %q, want %q among it", words, got, name)
		}
	}
	for name := range settingFlags(t) {
		if got := complete(t, dir, "flowlatch", "serve", "--"+name); !slices.Contains(got, "--"+name) {
			t.Errorf("complete(--%s) = %q, want it among it", name, got)
		}
	}
}

// TestFlagWords checks that what is offered for a setting is taken by it.
func TestFlagWords(t *testing.T) {
	file := testkit.WriteFile(t, "credential", "secret-of-the-runner")
	offered := 0
	for name := range settingFlags(t) {
		for _, word := range flagWords(name) {
			offered++
			if word == "file:" {
				word += file
			}
			var err error
			for _, p := range route.Presets() { // words for one preset are offered before it is chosen
				c := &config{preset: p, routes: p.Routes}
				if err = c.set(name, word); err == nil {
					break
				}
			}
			if err != nil {
				t.Errorf("--%s=%s: %v, want it taken by some preset, since it is offered", name, word, err)
			}
		}
	}
	if offered < 15 {
		t.Errorf("%d words are offered, want those of every setting that takes a word", offered)
	}
}

// TestCompletionScripts checks that each shell's script has every command and setting, and is one to the shell if it is here.
func TestCompletionScripts(t *testing.T) {
	for shell, flag := range map[string]string{"bash": "--", "zsh": "--", "fish": "-l "} {
		code, script, stderr := flowlatch(t, "completion", shell)
		if code != exitOK || stderr != "" {
			t.Fatalf("completion %s = %d, %q, want 0", shell, code, stderr)
		}
		for _, name := range commandNames(t) {
			if word := name[strings.LastIndexByte(name, ' ')+1:]; !strings.Contains(script, word) {
				t.Errorf("the script for %s does not have the command %q", shell, name)
			}
		}
		for name := range settingFlags(t) {
			if !strings.Contains(script, flag+name) {
				t.Errorf("the script for %s does not have the flag --%s", shell, name)
			}
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed: its script is not read by it", shell)
			continue
		}
		if out, err := exec.Command(shell, "-n", testkit.WriteFile(t, "script", script)).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
	if code, stdout, stderr := flowlatch(t, "completion", "csh"); code != exitUsage || stdout != "" || !strings.Contains(stderr, "bash") {
		t.Errorf("completion csh = %d, %q, %q, want 2 and what there is", code, stdout, stderr)
	}
}

// TestManualPage checks that the page has every command and setting, and that a formatter has nothing to say of it.
func TestManualPage(t *testing.T) {
	code, page, stderr := flowlatch(t, "man")
	if code != exitOK || stderr != "" {
		t.Fatalf("man = %d, %q, want 0", code, stderr)
	}
	for _, name := range commandNames(t) {
		if !strings.Contains(page, `.SS "`+roff(name)) {
			t.Errorf("the page has no section of %q", name)
		}
	}
	for name := range settingFlags(t) {
		if !strings.Contains(page, `\fB`+roff("--"+name)+`\fR`) {
			t.Errorf("the page does not have the flag --%s", name)
		}
	}
	if strings.Contains(page, "\n\n") {
		t.Error("the page has empty lines, want paragraphs by requests")
	}
	formatter, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed: the page is not formatted")
	}
	if out, err := exec.Command(formatter, "-man", "-Tascii", "-ww", "-z", testkit.WriteFile(t, "flowlatch.1", page)).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}
