package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/route"
)

type doctorCmd struct {
	URL         string `required:"" placeholder:"URL" help:"Where clients reach the gate, from where this runs, with its --path-prefix if it has one."`
	Keys        string `env:"FLOWLATCH_KEYS" placeholder:"FILE" help:"The gate's key file; without it, the file is not checked."`
	KeyFile     string `hidden:"" help:"The old name of --keys."`
	Upstream    string `placeholder:"URL" help:"The upstream; without it, ways around the gate are not looked for."`
	UpstreamAPI string `name:"upstream-api" placeholder:"file:PATH" help:"File with an API key of Flowise that may list chatflows (chatflows:view), to find those that still have a key there."`
	ClientCert  string `and:"client" placeholder:"FILE" help:"PEM file of the client certificate for a gate that asks for one. Needs --client-key."`
	ClientKey   string `and:"client" placeholder:"FILE" help:"PEM file of the private key of --client-cert."`
	Preset      string `env:"FLOWLATCH_PRESET" default:"flowise" help:"The kind of upstream behind the gate: flowise, langflow or n8n."`
	Admin       string `env:"FLOWLATCH_ADMIN" placeholder:"HOST:PORT" help:"The gate's admin listener. Default: 127.0.0.1:9901, if there is one."`
}

func (doctorCmd) Help() string {
	return `Sends some 130 harmless requests to a running gate, and a few to --upstream, none with a valid key, and looks at what is
around it. They name a chatflow that does not exist, or ask whether one does, so nothing runs even where the gate has a
hole; they do show in the gate's log and metrics.
First it proves that --url, --admin, --keys and --upstream belong to the same gate; FAULT says that they do not.
Run it from where an attacker would be: what it says of ways around the gate holds for the machine that it runs on.

Exit code 0 if nothing is open, 1 if something is (OPEN), if something does not belong together (FAULT), or if the gate cannot
be reached.

Examples:

  flowlatch doctor --url http://127.0.0.1:8080 --keys ./keys.yaml --upstream http://127.0.0.1:3000
  flowlatch doctor --url https://flows.example.com
  flowlatch doctor --url https://www.example.com/chat
  flowlatch doctor --url http://127.0.0.1:8080 --upstream http://127.0.0.1:3000 --upstream-api file:./flowise.key
  flowlatch doctor --url http://127.0.0.1:8080 --preset n8n --upstream http://127.0.0.1:5678
  flowlatch doctor --url https://flows.example.com --client-cert client.crt --client-key client.key`
}

func (cmd *doctorCmd) Run(s streams) error {
	if cmd.KeyFile != "" {
		fmt.Fprintln(s.err, "flowlatch: --key-file is called --keys now, as in every other command; the old name goes with the next release")
		cmd.Keys = cmd.KeyFile
	}
	gate, err := cmd.gate(s)
	if err != nil {
		return usageError{err}
	}
	findings, err := doctor.Examine(gate)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	t := newTable(s.out)
	row(t, "CHECK", "RESULT", "WHAT WAS FOUND")
	for _, f := range findings {
		row(t, f.Check, string(f.Result), f.Text)
	}
	if err := t.Flush(); err != nil || !findings[0].Result.Failed() {
		return err
	}
	return errRefused
}

// defaultAdmin is where most gates have their admin listener.
const defaultAdmin = "127.0.0.1:9901"

// gate parses the flags.
func (cmd *doctorCmd) gate(s streams) (g doctor.Gate, err error) {
	g = doctor.Gate{Admin: cmp.Or(cmd.Admin, defaultAdmin), AdminNamed: cmd.Admin != "", KeyFile: cmd.Keys}
	if g.URL, err = config.URL(cmd.URL); err != nil {
		return g, fmt.Errorf("--url: %w", err)
	}
	if cmd.Upstream != "" {
		if g.Upstream, err = config.URL(cmd.Upstream); err != nil {
			return g, fmt.Errorf("--upstream: %w", err)
		}
	}
	if _, err := config.Address(g.Admin); err != nil {
		return g, fmt.Errorf("--admin: %w", err)
	}
	if g.Preset, err = route.PresetNamed(cmd.Preset); err != nil {
		return g, fmt.Errorf("--preset: %w", err)
	}
	if cmd.UpstreamAPI != "" {
		path, ok := strings.CutPrefix(cmd.UpstreamAPI, "file:")
		if !ok || path == "" {
			return g, errors.New("--upstream-api: want file:PATH, the path of a file with an API key of Flowise; the flags of a process can be seen by others")
		}
		if g.UpstreamAPI, err = secretFrom("--upstream-api", path, "", s); err != nil {
			return g, err
		}
	}
	if cmd.ClientCert != "" {
		var pair tls.Certificate
		if err = certificate.CheckPair(cmd.ClientCert, cmd.ClientKey); err == nil {
			pair, err = tls.LoadX509KeyPair(cmd.ClientCert, cmd.ClientKey)
		}
		if err != nil {
			return g, fmt.Errorf("--client-cert and --client-key: %w", err)
		}
		g.Certificates = []tls.Certificate{pair}
	}
	return g, nil
}
