package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// model returns the declaration of the command line.
func model(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := newParser(nil, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// commandNames returns every command by its full name, as "key new".
func commandNames(t *testing.T) (names []string) {
	t.Helper()
	for _, leaf := range model(t).Model.Leaves(true) {
		names = append(names, strings.TrimSuffix(leaf.FullPath(), " ")[len("flowlatch "):])
	}
	for i, name := range names { // without arguments
		names[i], _, _ = strings.Cut(name, " <")
	}
	return names
}

func TestHelp(t *testing.T) {
	names := commandNames(t)
	if !slices.Contains(names, "key new") || !slices.Contains(names, "serve") {
		t.Fatalf("commandNames() = %q, want all commands", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			args := append(strings.Fields(name), "--help")
			code, stdout, stderr := flowlatch(t, args...)
			if code != exitOK || stderr != "" {
				t.Errorf("run(%q) = %d, %q on stderr, want 0 and nothing", args, code, stderr)
			}
			if want := "Usage: flowlatch " + name; !strings.HasPrefix(stdout, want) {
				t.Errorf("run(%q) begins %.60q, want %q", args, stdout, want)
			}
			examples := examplesIn(stdout)
			if len(examples) == 0 {
				t.Errorf("run(%q) has no example:\n%s", args, stdout)
			}
			for _, example := range examples {
				checkExample(t, name, example)
			}
		})
	}
}

// TestHelpShowsDefaults checks that the help of each flag with a default shows it.
func TestHelpShowsDefaults(t *testing.T) {
	for _, leaf := range model(t).Model.Leaves(true) {
		for _, f := range leaf.Flags {
			if f.HasDefault && f.Default != "" && !f.IsBool() && !strings.Contains(f.String(), f.Default) {
				t.Errorf("%s: --%s is shown as %s, want its default %q", leaf.FullPath(), f.Name, f.String(), f.Default)
			}
		}
	}
}

// examplesIn returns the lines that a help text shows as examples.
func examplesIn(help string) (lines []string) {
	_, rest, _ := strings.Cut(help, "\nExample")
	rest, _, _ = strings.Cut(rest, "\nFlags:")
	rest, _, _ = strings.Cut(rest, "\nArguments:")
	for line := range strings.Lines(rest) {
		if line = strings.TrimSpace(line); strings.Contains(line, "flowlatch ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// checkExample fails the test if the command line does not accept an example as it stands, or takes it for another
// command.
func checkExample(t *testing.T, command, example string) {
	t.Helper()
	words := shellWords(t, example)
	for strings.HasPrefix(words[0], "FLOWLATCH_") {
		words = words[1:]
	}
	if i := slices.Index(words, ">"); i >= 0 {
		words = words[:i]
	}
	ctx, err := model(t).Parse(words[1:])
	if err != nil {
		t.Errorf("Parse(%q) = %v, want no error", example, err)
		return
	}
	if got, _, _ := strings.Cut(ctx.Command(), " <"); got != command {
		t.Errorf("Parse(%q) = command %q, want %q", example, got, command)
	}
}

// shellWords splits a line like a shell that knows nothing but quotes.
func shellWords(t *testing.T, line string) (words []string) {
	t.Helper()
	var word strings.Builder
	quote, inside := rune(0), false
	for _, r := range line {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case r != ' ':
			word.WriteRune(r)
			inside = true
		case inside:
			words, inside = append(words, word.String()), false
			word.Reset()
		}
	}
	if quote != 0 {
		t.Fatalf("shellWords(%q): a quote is not closed", line)
	}
	if inside {
		words = append(words, word.String())
	}
	return words
}
