// Command flowlatch is a reverse proxy that makes every Flowise chatflow require an API key.
//
// This package opens files and sockets and turns errors into exit codes. Settings are read in package config; package
// proxy decides what passes, by the keys of package keystore.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/config"
)

// version is set when a release is built. Without it, buildVersion asks Go.
var version = ""

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2
)

// command is something the program can be asked to do. kong calls its Run, and shows its Help below the usage.
type command struct {
	name, help string
	of         any
}

func commands() []command {
	return []command{
		{"serve", "Run the gate in front of a flow runner such as Flowise.", &serveCmd{}},
		{"demo", "Run the gate in front of a stand-in for Flowise, with a key to try it.", &demoCmd{}},
		{"check", "Check the settings and the key file, and show what would apply.", &checkCmd{}},
		{"explain", "Say what would become of a request, and why.", &explainCmd{}},
		{"key", "Make, list, change, rotate, revoke and delete keys.", &keyCmd{}},
		{"token", "Mint a browser token, which a web page may hold in place of a key.", &tokenCmd{}},
		{"usage", "Show what keys and chatflows used, by month.", &usageCmd{}},
		{"import", "Make a key file from the keys that a Flowise has.", &importCmd{}},
		{"doctor", "Look for holes around a running gate: send harmless requests to it and report what is open.", &doctorCmd{}},
		{"healthcheck", "Ask a running gate whether it is ready; for images without a shell.", &healthcheckCmd{}},
		{"version", "Print the version.", &versionCmd{}},
	}
}

// streams are where a command writes: results to out, notes and warnings to err.
type streams struct{ out, err io.Writer }

// usageError is an error in how the program was called.
type usageError struct{ error }

// errRefused is returned when the result is no, and has been printed already.
var errRefused = errors.New("refused")

// resolve returns the settings, for commands whose Run takes them.
func resolve(ctx *kong.Context) (*config.Config, error) {
	c, err := config.Resolve(ctx)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// run runs the command that args name and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	helped := false
	parser, err := newParser(args, kong.Writers(stdout, stderr), kong.Exit(func(int) { helped = true })) // called after help was printed
	if err != nil {
		panic(err) // the declaration of a command is wrong: every run of it would end here
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	switch {
	case helped:
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "flowlatch: %s; `%s --help` shows what there is\n", redact(noValue.ReplaceAllString(err.Error(), "it needs a value")), commandOf(err))
		return exitUsage
	}
	err = ctx.Run(streams{stdout, stderr})
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errRefused):
		return exitFailed
	}
	if errors.As(err, new(servedError)) {
		stderr = timedWriter{stderr}
	}
	fmt.Fprintln(stderr, "flowlatch: "+redact(firstLines(err.Error(), maxLines)))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// noValue matches what kong says about a flag without a value, at the end of the line or before another flag.
var noValue = regexp.MustCompile(`expected \w+ value but got .* \((<EOL>|long flag|short flag)\)(; perhaps try .*\?)?`)

// commandOf returns the command that could not be parsed.
func commandOf(err error) string {
	if parsing, ok := errors.AsType[*kong.ParseError](err); ok {
		if command := parsing.Context.Selected(); command != nil {
			return command.FullPath()
		}
	}
	return "flowlatch"
}

// maxLines is how many lines of an error are printed.
const maxLines = 20

// firstLines returns the first lines of a text, and how many more there are: a file that a program wrote may have the
// same fault a thousand times.
func firstLines(text string, most int) string {
	lines := strings.Split(text, "\n")
	if more := len(lines) - most; more > 0 {
		return strings.Join(lines[:most], "\n") + fmt.Sprintf("\nand %d more", more)
	}
	return text
}

var (
	secretPattern     = regexp.MustCompile(`fl_[0-9A-Za-z]{13,}`)
	unexpectedPattern = regexp.MustCompile(`(unexpected argument \S{4})\S{12,}`) // perhaps a secret that was not made here
)

// redact hides secrets in an error message, which may quote an argument that is a secret by mistake.
func redact(text string) string {
	return unexpectedPattern.ReplaceAllString(secretPattern.ReplaceAllString(text, "fl_…"), "${1}…")
}

// newParser returns a parser of the command line. If args begin with a command, it knows only that one: building all of
// them would take as long as everything else up to the first line of output.
func newParser(args []string, options ...kong.Option) (*kong.Kong, error) {
	all := commands()
	if n := slices.IndexFunc(all, func(c command) bool { return len(args) > 0 && c.name == args[0] }); n >= 0 {
		all = all[n : n+1]
	}
	for _, c := range all {
		options = append(options, kong.DynamicCommand(c.name, c.help, "", c.of))
	}
	var flags struct {
		VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
	}
	return kong.New(&flags, append([]kong.Option{
		kong.Name("flowlatch"),
		kong.Description("flowlatch makes every chatflow of a flow runner such as Flowise require an API key."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.BindToProvider(resolve),
		kong.Vars{"version": "flowlatch " + buildVersion()},
	}, options...)...)
}

type versionCmd struct{}

func (versionCmd) Help() string { return "Example:\n\n  flowlatch version" }

func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "flowlatch", buildVersion())
	return err
}

// buildVersion returns the release's version, or what Go knows of the build.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
