package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/proxy"
	adminpage "github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

type serveCmd struct{ config.Flags }

func (serveCmd) Help() string {
	return `Every setting may come from a flag, an environment variable or the settings file, in this order.
SIGTERM and SIGINT drain and end the gate, SIGHUP reads the key file, certificates and secrets of browser tokens again.

Examples:

  flowlatch serve --keys ./keys.yaml --upstream http://127.0.0.1:3000
  flowlatch serve --config /etc/flowlatch/flowlatch.yaml --log-format console
  FLOWLATCH_EXPOSE=predict,widget flowlatch serve --keys ./keys.yaml`
}

// Run serves until a signal ends it.
func (cmd *serveCmd) Run(c *config.Config, s streams) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	context.AfterFunc(stop, cancel) // restore default handling, so that a second signal kills a slow drain
	return serve(stop, c, s.err, func(data, admin net.Addr) { logServing(c, data, admin) })
}

// serve sets up log, key store, certificates, proxy and listeners, and runs a gate until ctx is done. It adds to
// c.Proxy what no setting sets, and calls listening once clients can connect.
func serve(ctx context.Context, c *config.Config, stderr io.Writer, listening func(data, admin net.Addr)) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // before anyone may think that the gate is up
	defer close(hangup)                   // ends the reloads
	defer signal.Stop(hangup)

	log, lines, dropped := openLog(c, stderr)
	defer lines.Close()
	logWarnings(log, secretsReadByEveryone(c))
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	certificates, err := openCertificates(c, log)
	if err != nil {
		return err
	}
	c.Proxy.Store, c.Proxy.Certificates, c.Proxy.Log, c.Proxy.Version = store, certificates, log, buildVersion()
	limitConnections(c, log)
	c.Proxy.Registry = prometheus.NewRegistry()
	c.Proxy.Registry.MustRegister(dropped)
	limiter, counting, err := openLimiter(c, log)
	if err != nil {
		return err
	}
	tokens, err := openTokens(c, log)
	if err != nil {
		return err
	}
	c.Proxy.Limiter, c.Proxy.Tokens = limiter, tokens
	gate, err := proxy.New(c.Proxy)
	if err != nil {
		return err
	}
	door, err := openDoor(c, log)
	if err != nil {
		return err
	}
	data, err := listen("--listen", c.Listen)
	if err != nil {
		return err
	}
	defer data.Close()
	admin, err := listen("--admin", c.Admin)
	if err != nil {
		return err
	}

	background, stop := context.WithCancel(context.WithoutCancel(ctx)) // keys and certificates change during a drain, too
	defer stop()
	go store.Run(background)
	go certificates.Run(background)
	if door != nil {
		go door.Run(background)
	}
	go tokens.Run(background)
	go func() {
		for range hangup {
			store.Reload()
			certificates.Reload()
			tokens.Reload()
		}
	}()
	var counted sync.WaitGroup // waits for counts to be saved at the end
	for _, run := range counting {
		counted.Go(func() { run(background) })
	}
	operators := adminpage.New(gate, adminpage.Options{Door: door, ClientPort: port(data.Addr()), UpstreamAPI: c.UpstreamAPI})
	go operators.Run(background)

	listening(data.Addr(), admin.Addr())
	err = gate.Serve(ctx, data, admin, operators, c.Drain)
	stop()
	waitAtMost(&counted, saveTime)
	if err != nil {
		return servedError{err}
	}
	return nil
}

// openDoor returns the sign-in for changing keys on the admin listener, or nil if --admin-token is not set.
func openDoor(c *config.Config, log zerolog.Logger) (*signin.Door, error) {
	if c.AdminToken == "" {
		return nil, nil //nolint:nilnil // none is a setting
	}
	return signin.Open(signin.Options{File: c.AdminToken, Log: log})
}

func port(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// servedError is why a gate that had been serving ended. By then, nobody may be reading its standard error.
type servedError struct{ error }

// timedWriter gives up on a reader that does not read, after as long as [logWriter] does.
type timedWriter struct{ io.Writer }

func (w timedWriter) Write(p []byte) (int, error) {
	text := bytes.Clone(p) // the caller may reuse p once Write has returned
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = w.Writer.Write(text) }) // there is nobody left to tell
	waitAtMost(&writing, logFlushTimeout)
	return len(p), nil
}

func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: another program listens there; end it or choose another port", flag, addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: not allowed; ports below 1024 need privileges, choose a higher one", flag, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this machine has no such address; leave the host out for every address it has", flag, addr)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return l, nil
}

// logServing logs that the gate is up, and a warning if others can reach its admin listener.
func logServing(c *config.Config, data, admin net.Addr) {
	log, s := c.Proxy.Log, c.Proxy.Store.Snapshot()
	log.Info().Str("version", buildVersion()).Str("preset", c.Proxy.Preset.Name).Str("listen", data.String()).Bool("tls", c.Certificates.ServerCert != "").
		Str("admin", admin.String()).Str("status_page", statusPage(admin)).Str("upstream", c.Proxy.Upstream.Redacted()).Strs("expose", c.Proxy.Expose).
		Int("keys", len(s.Keys())).Int("chatflows", len(s.Chatflows())).Msg("serving")
	if host, _, _ := net.SplitHostPort(admin.String()); !net.ParseIP(host).IsLoopback() {
		log.Warn().Str("admin", admin.String()).Msg("the admin listener, with its status page, can be reached from outside this machine and asks for no key; let only your monitoring reach it")
	}
}

// statusPage returns the URL of the status page for a browser on this machine.
func statusPage(admin net.Addr) string {
	host, port, _ := net.SplitHostPort(admin.String())
	if net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}
