package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/proxy"
	adminpage "github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/route"
)

type demoCmd struct {
	Listen string `default:"127.0.0.1:8080" help:"Address where clients connect."`
	Admin  string `default:"127.0.0.1:9901" help:"Address of the admin listener."`
}

// Help is shown below the usage.
func (demoCmd) Help() string {
	return `Starts a stand-in for Flowise, a gate in front of it and a key for one chatflow, and prints requests to try.
Nothing needs to be installed or configured, and nothing is left behind.

Example:

  flowlatch demo`
}

const (
	demoChatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	demoOther    = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
)

// Run runs the demo until a signal ends it.
func (cmd *demoCmd) Run(s streams) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	return demo(ctx, cmd.Listen, cmd.Admin, s)
}

func demo(ctx context.Context, listenAddr, adminAddr string, s streams) error {
	dir, err := os.MkdirTemp("", "flowlatch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys := filepath.Join(dir, "keys.yaml")
	secret, other := keystore.Generate(), keystore.Generate()
	for id, key := range map[string]struct{ secret, chatflow string }{
		"demo": {secret, demoChatflow}, "somebody-else": {other, demoOther},
	} {
		err := edit.File(keys, func(data []byte) ([]byte, error) {
			return edit.AddKey(keys, data, edit.NewKey{ID: id, Digest: keystore.DigestOf(key.secret), Chatflows: []string{key.chatflow}})
		})
		if err != nil {
			return err
		}
	}
	upstream, err := startStandIn()
	if err != nil {
		return err
	}
	defer upstream.close()

	data, admin, err := listenBoth(listenAddr, adminAddr)
	if err != nil {
		return err
	}
	flowise := route.Flowise()
	c := &config.Config{
		Proxy: proxy.Options{Preset: flowise, Routes: flowise.Routes, Upstream: upstream.url, Version: buildVersion()},
		Keys:  keys, LogConsole: true, LogLevel: zerolog.InfoLevel,
	}
	if c.Proxy.Store, err = openStore(ctx, c, zerolog.Nop()); err != nil {
		return err
	}
	c.Proxy.Log = newLogger(c, s.err, isTerminal(s.err))
	gate, err := proxy.New(c.Proxy)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(ctx)
	defer stop()
	go c.Proxy.Store.Run(background)
	operators := adminpage.New(gate)
	go operators.Run(background)
	printDemo(s.out, data.Addr(), admin.Addr(), secret, other)
	return gate.Serve(ctx, data, admin, operators, 0)
}

// printDemo prints a request for each thing to see.
func printDemo(w io.Writer, data, admin net.Addr, secret, other string) {
	prediction := fmt.Sprintf("http://%s/api/v1/prediction/%s", data, demoChatflow)
	curl := func(key, question, more string) string {
		line := "curl -sN "
		if key != "" {
			line += "-H 'Authorization: Bearer " + key + "' "
		}
		return line + "-H 'Content-Type: application/json' -d '{\"question\":\"" + question + "\"" + more + "}' " + prediction
	}
	fmt.Fprintf(w, `This is a demo: the gate is real, the upstream behind it is a stand-in that repeats the question.

Try, in another terminal:

# allowed
%s

# allowed, streamed
%s

# no key: 401
%s

# a wrong key: 401
%s

# a key for another chatflow: 403
%s

# what the gate knows; in a browser: %s
curl -s http://%s/status

The log of the gate follows. Ctrl-C ends the demo and leaves nothing behind.

`,
		curl(secret, "Hello?", ""),
		curl(secret, "How are you today?", `,"streaming":true`),
		curl("", "Hello?", ""),
		curl(strings.Repeat("x", 41), "Hello?", ""),
		curl(other, "Hello?", ""),
		statusPage(admin), admin)
}
