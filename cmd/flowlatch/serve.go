package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	adminpage "github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

type serveCmd struct{ config.Flags }

// Help is shown below the usage.
func (serveCmd) Help() string {
	return `Every setting may come from a flag, an environment variable or the settings file, in this order.
SIGTERM and SIGINT drain and end the gate, SIGHUP reads the key file and certificates again.

Examples:

  flowlatch serve --keys ./keys.yaml --upstream http://127.0.0.1:3000
  flowlatch serve --config /etc/flowlatch/flowlatch.yaml --log-format console
  FLOWLATCH_EXPOSE=predict,widget flowlatch serve --keys ./keys.yaml`
}

// Run serves until a signal ends it.
func (cmd *serveCmd) Run(ctx *kong.Context, s streams) error {
	c, err := resolve(ctx)
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	context.AfterFunc(stop, cancel) // a second signal ends a drain that somebody is tired of
	return serve(stop, c, s.err)
}

// serve runs the gate that the settings describe until ctx is done.
func serve(ctx context.Context, c *config.Config, logTo io.Writer) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // before anybody may think that the gate is there
	defer signal.Stop(hangup)
	requestsTo := logTo
	if !c.LogConsole {
		lines := &logLines{to: logTo}
		defer lines.Flush()
		logTo, requestsTo = lines, requestLines{lines}
	}
	log := newLogger(c, logTo)
	stdlog.SetOutput(io.Discard) // net/http's Transport would write bytes of the runner there, and no JSON
	reloaded := make(chan struct{}, 1)
	store, err := openStore(ctx, c, log, reloaded)
	if err != nil {
		return err
	}
	certificates, err := openCertificates(c, log)
	if err != nil {
		return err
	}
	gate, err := newProxy(c, store, certificates, newLogger(c, requestsTo))
	if err != nil {
		return err
	}
	data, err := listen("--listen", c.Listen)
	if err != nil {
		return err
	}
	admin, err := listen("--admin", c.Admin)
	if err != nil {
		data.Close()
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx)) // keys change during a drain, too
	defer stop()
	go store.Run(background)
	go certificates.Run(background)
	var garbage collector
	garbage.pace()
	go tidyMemory(background, store, reloaded, &garbage)
	go reloadOnHangup(background, store, certificates, hangup)

	snapshot := store.Snapshot()
	log.Info().Str("version", buildVersion()).Str("preset", c.Proxy.Preset.Name).Str("listen", data.Addr().String()).Bool("tls", c.Certificates.ServerCert != "").Str("admin", admin.Addr().String()).
		Str("status_page", statusPage(admin.Addr())).Str("upstream", c.Proxy.Upstream.Redacted()).Strs("expose", c.Proxy.Expose).
		Int("keys", len(snapshot.Keys())).Int("chatflows", len(snapshot.Chatflows())).Msg("serving")
	if host, _, _ := net.SplitHostPort(admin.Addr().String()); !net.ParseIP(host).IsLoopback() {
		log.Warn().Str("admin", admin.Addr().String()).Msg("the admin listener, with its status page, can be reached from outside this machine and asks for no key; let only your monitoring reach it")
	}
	operators := adminpage.New(gate)
	go operators.Run(background)
	return gate.Serve(ctx, data, admin, operators, c.Drain)
}

func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: another program listens there; end it or choose another port", flag, addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: not allowed; ports below 1024 need privileges, choose a higher one", flag, addr)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return l, nil
}

// statusPage returns where a browser on this machine finds the page of an admin listener.
func statusPage(admin net.Addr) string {
	host, port, _ := net.SplitHostPort(admin.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

func newLogger(c *config.Config, to io.Writer) zerolog.Logger {
	if c.LogConsole {
		to = zerolog.ConsoleWriter{Out: to, TimeFormat: time.TimeOnly, NoColor: !isTerminal(to)}
	}
	return zerolog.New(to).Level(c.LogLevel).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// openStore opens the key file, logs what becomes of it and tells reloaded of new keys.
func openStore(ctx context.Context, c *config.Config, log zerolog.Logger, reloaded chan<- struct{}) (*keystore.Store, error) {
	started := false
	options := keystore.Options{
		Validate: func(s *keystore.Snapshot) error {
			if err := proxy.CheckKeyFile(s, c.Proxy.Preset); err != nil {
				return err
			}
			err := validate(c, s)
			if err != nil && !started {
				return err
			}
			if err != nil { // must not keep a revocation of some other key from coming into force
				s.Warnings = append(s.Warnings, err.Error()+"; that chatflow gets 502 unless an older content was read")
			}
			started = true
			for i, w := range s.Warnings {
				if i == maxLogged {
					log.Warn().Int("more", len(s.Warnings)-i).Msg("more warnings about the key file; `flowlatch check` shows all")
					break
				}
				log.Warn().Msg(w)
			}
			return nil
		},
		OnReload: func(r keystore.Reload) {
			logReload(log, r)
			select {
			case reloaded <- struct{}{}:
			default: // it will look at the newest keys anyway
			}
		},
	}
	if c.WaitForKeys == 0 {
		return keystore.Open(c.Keys, options)
	}
	ctx, cancel := context.WithTimeout(ctx, c.WaitForKeys)
	defer cancel()
	return keystore.Wait(ctx, c.Keys, options, func(err error) {
		log.Warn().Err(err).Str("for", c.WaitForKeys.String()).Msg("waiting for the key file")
	})
}

// validate checks what a snapshot says of files and routes.
func validate(c *config.Config, s *keystore.Snapshot) error {
	return proxy.CheckSnapshot(s, c.Proxy.Preset, c.Proxy.Routes)
}

// maxLogged is how many things of one kind are logged one by one.
const maxLogged = 20

func logReload(log zerolog.Logger, r keystore.Reload) {
	switch r.Result {
	case keystore.Failed:
		log.Error().Err(r.Err).Uint64("generation", r.Generation).Msg("the key file has a fault; the last good one stays in force until it is mended")
	case keystore.Unchanged:
		log.Info().Uint64("generation", r.Generation).Msg("the key file is as it was")
	case keystore.Loaded:
		e := log.Info().Uint64("generation", r.Generation)
		for _, change := range []struct {
			name string
			ids  []string
		}{
			{"keys_added", r.KeysAdded},
			{"keys_removed", r.KeysRemoved},
			{"keys_changed", r.KeysChanged},
			{"chatflows_added", r.ChatflowsAdded},
			{"chatflows_removed", r.ChatflowsRemoved},
			{"chatflows_changed", r.ChatflowsChanged},
		} {
			switch n := len(change.ids); {
			case n > maxLogged:
				e.Int(change.name, n)
			case n > 0:
				e.Strs(change.name, change.ids)
			}
		}
		e.Msg("the key file is in force")
	}
}

func newProxy(c *config.Config, store *keystore.Store, certificates *certificate.Store, log zerolog.Logger) (*proxy.Proxy, error) {
	options := c.Proxy
	options.Store, options.Certificates, options.Log, options.Version = store, certificates, log, buildVersion()
	return proxy.New(options)
}

func reloadOnHangup(ctx context.Context, store *keystore.Store, certificates *certificate.Store, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			store.Reload()
			certificates.Reload()
		}
	}
}
