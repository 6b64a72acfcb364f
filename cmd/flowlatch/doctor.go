package main

import (
	"crypto/tls"
	"fmt"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/route"
)

type doctorCmd struct {
	URL        string `required:"" placeholder:"URL" help:"Where clients reach the gate, from where this runs."`
	KeyFile    string `name:"key-file" placeholder:"FILE" help:"The gate's key file; without it, the keys are not checked."`
	Upstream   string `placeholder:"URL" help:"The upstream; without it, ways around the gate are not looked for."`
	ClientCert string `and:"client" placeholder:"FILE" help:"PEM file of the client certificate for a gate that asks for one. Needs --client-key."`
	ClientKey  string `and:"client" placeholder:"FILE" help:"PEM file of the private key of --client-cert."`
	Preset     string `env:"FLOWLATCH_PRESET" default:"flowise" help:"The kind of upstream behind the gate: flowise, langflow or n8n."`
	Admin      string `default:"127.0.0.1:9901" help:"The gate's admin listener."`
}

func (doctorCmd) Help() string {
	return `Sends some 130 harmless requests to a running gate, none with a valid key, and looks at what is around it. They name a
chatflow that does not exist, so nothing runs even where the gate has a hole; they do show in the gate's log and metrics.
Run it from where an attacker would be: what it says of ways around the gate holds for the machine that it runs on.

Exit code 0 if nothing is open, 1 if something is, or if the gate cannot be reached.

Examples:

  flowlatch doctor --url http://127.0.0.1:8080 --key-file ./keys.yaml --upstream http://127.0.0.1:3000
  flowlatch doctor --url https://flows.example.com
  flowlatch doctor --url http://127.0.0.1:8080 --preset n8n --upstream http://127.0.0.1:5678
  flowlatch doctor --url https://flows.example.com --client-cert client.crt --client-key client.key`
}

func (cmd *doctorCmd) Run(s streams) error {
	gate, err := cmd.gate()
	if err != nil {
		return usageError{err}
	}
	findings, err := doctor.Examine(gate)
	if err != nil {
		return fmt.Errorf("--url %s: %w; is the gate running, and is it there?", cmd.URL, err)
	}
	t := newTable(s.out)
	row(t, "CHECK", "RESULT", "WHAT WAS FOUND")
	for _, f := range findings {
		row(t, f.Check, string(f.Result), f.Text)
	}
	if err := t.Flush(); err != nil || findings[0].Result != doctor.Open {
		return err
	}
	return errRefused
}

// gate parses the flags.
func (cmd *doctorCmd) gate() (g doctor.Gate, err error) {
	g = doctor.Gate{Admin: cmd.Admin, KeyFile: cmd.KeyFile}
	if g.URL, err = config.URL(cmd.URL); err != nil {
		return g, fmt.Errorf("--url: %w", err)
	}
	if cmd.Upstream != "" {
		if g.Upstream, err = config.URL(cmd.Upstream); err != nil {
			return g, fmt.Errorf("--upstream: %w", err)
		}
	}
	if _, err := config.Address(cmd.Admin); err != nil {
		return g, fmt.Errorf("--admin: %w", err)
	}
	if g.Preset, err = route.PresetNamed(cmd.Preset); err != nil {
		return g, fmt.Errorf("--preset: %w", err)
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
