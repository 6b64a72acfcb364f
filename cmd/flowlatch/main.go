// Command flowlatch is a reverse proxy that puts a key on every chatflow of a flow runner.
//
// This package reads settings, opens files and sockets and turns errors into exit codes; what is let
// through is decided in package proxy, by the keys of package keystore.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/config"
)

// version is set when a release is built; otherwise the module's version is told.
var version = ""

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2
)

// commands is everything the program can be asked to do.
type commands struct {
	Serve       serveCmd       `cmd:"" help:"Run the gate in front of a flow runner."`
	Demo        demoCmd        `cmd:"" help:"Run the gate in front of a stand-in runner, with a key to try it."`
	Check       checkCmd       `cmd:"" help:"Check the settings and the key file, and show what would be in force."`
	Explain     explainCmd     `cmd:"" help:"Say what would become of a request, and why."`
	Key         keyCmd         `cmd:"" help:"Make, list and revoke keys."`
	Import      importCmd      `cmd:"" help:"Make a key file of the keys that a Flowise has."`
	Doctor      doctorCmd      `cmd:"" help:"Look for holes around a running gate: fire harmless requests at it and report what is open."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running gate whether it is ready; for images without a shell."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// streams are where a command writes: results to out, notes to err.
type streams struct{ out, err io.Writer }

// usageError is an error in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errRefused is returned when the answer was printed already and is no.
var errRefused = errors.New("refused")

// resolve returns the settings of the command that runs.
func resolve(ctx *kong.Context) (*config.Config, error) {
	c, err := config.Resolve(ctx)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// run runs the command that args name and returns the exit code.
func run(args []string, stdout, stderr io.Writer) (code int) {
	type exit int
	defer func() { // kong calls Exit after it has printed help
		if v, ok := recover().(exit); ok {
			code = int(v)
		} else if v != 0 {
			panic(v)
		}
	}()
	parser, err := newParser(kong.Writers(stdout, stderr), kong.Exit(func(c int) { panic(exit(c)) }))
	if err != nil {
		panic(err) // the commands struct is wrong: every run would end here
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "flowlatch: %v\nRun `flowlatch --help`, or with a command before it, to see what there is.\n", err)
		return exitUsage
	}
	err = ctx.Run(ctx, streams{stdout, stderr})
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errRefused):
		return exitFailed
	case errors.As(err, &usage):
		code = exitUsage
	default:
		code = exitFailed
	}
	fmt.Fprintf(stderr, "flowlatch: %v\n", err)
	return code
}

func newParser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(&commands{}, append([]kong.Option{
		kong.Name("flowlatch"),
		kong.Description("A gate that puts a key on every chatflow of a flow runner such as Flowise."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.UsageOnError(),
	}, options...)...)
}

type versionCmd struct{}

// Help is shown below the usage.
func (versionCmd) Help() string { return "Example:\n\n  flowlatch version" }

// Run prints the version.
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
