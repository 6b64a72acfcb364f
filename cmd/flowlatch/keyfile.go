package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// openStore opens the key file of a gate and logs its reloads. Later contents are checked less strictly than the first.
func openStore(ctx context.Context, c *config.Config, log zerolog.Logger) (*keystore.Store, error) {
	started, keys := false, 0
	noteRandomSecrets := randomSecretsNotice(c, log)
	options := keystore.Options{
		Require:    c.KeysRequire,
		MayBeEmpty: c.AdminToken != "", // the console can fill it
		Validate: func(s *keystore.Snapshot) error {
			if err := proxy.CheckKeyFile(s, c.Proxy.Preset); err != nil {
				return err
			}
			err := proxy.CheckSnapshot(s, c.Proxy.Preset, c.Proxy.Routes)
			if err != nil && !started {
				return err
			}
			if err != nil { // must not keep the revocation of some other key from being applied
				s.Warnings = append(s.Warnings, err.Error()+"; the rest is applied")
			}
			proxy.WarnOfShares(s, c.LimitsReplicas.Count)
			started, keys = true, len(s.Keys())
			proxy.CheckBrowser(s, &c.Proxy)
			noteRandomSecrets(s)
			logWarnings(log, s.Warnings)
			return nil
		},
		OnReload: func(r keystore.Reload) {
			logReload(log, r)
			if r.Result == keystore.Loaded {
				tuneMemory(keys)
			}
		},
	}
	if c.WaitForKeys == 0 {
		store, err := keystore.Open(c.Keys, options)
		return store, forConsole(c, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.WaitForKeys)
	defer cancel()
	return keystore.Wait(ctx, c.Keys, options, func(err error) {
		log.Warn().Err(err).Str("for", c.WaitForKeys.String()).Msg("waiting for the key file")
	})
}

// forConsole adds to the error about a missing or empty key file how to create one to fill on the console. The gate
// does not create the file itself: it is also missing if a mount is missing, and a gate that refuses to start is
// noticed before it replaces one that serves.
func forConsole(c *config.Config, err error) error {
	if err == nil || c.AdminToken == "" {
		return err
	}
	info, missing := os.Stat(c.Keys)
	switch {
	case errors.Is(err, keystore.ErrNoKeyFile):
		return fmt.Errorf("%w; to fill it on the console, put a file into it that has `version: 1`, such as keys.yaml", err)
	case errors.Is(missing, fs.ErrNotExist) || missing == nil && info.Size() == 0:
		return fmt.Errorf("%w; to fill it on the console, write `version: 1` into it", err)
	}
	return err
}

// tuneMemory sets, after a reload, how much garbage Go lets pile up. A gate with few keys uses so little memory that
// collecting each time it has doubled would take a tenth of its time. A million keys use hundreds of MiB, and reading
// them takes several times as much, which Go would keep for minutes.
func tuneMemory(keys int) {
	time.AfterFunc(time.Second, debug.FreeOSMemory) // by then nothing refers to what the reload used
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := 400
	if keys >= 50_000 {
		percent = 50
	}
	debug.SetGCPercent(percent)
}

// maxLogged is how many things of one kind are logged one by one.
const maxLogged = 20

func logWarnings(log zerolog.Logger, warnings []string) {
	for _, w := range warnings[:min(len(warnings), maxLogged)] {
		log.Warn().Msg(w)
	}
	if more := len(warnings) - maxLogged; more > 0 {
		log.Warn().Int("more", more).Msg("more warnings about the key file; `flowlatch check --all` shows all")
	}
}

func logReload(log zerolog.Logger, r keystore.Reload) {
	switch r.Result {
	case keystore.Failed:
		e := log.Error().Err(r.Err).Uint64("generation", r.Generation)
		logIDs(e, "files", r.Files)
		e.Msg("key file is invalid; the last good keys stay active")
	case keystore.Unchanged:
		log.Info().Uint64("generation", r.Generation).Msg("key file unchanged")
	case keystore.Loaded:
		e := log.Info().Uint64("generation", r.Generation)
		logIDs(e, "files", r.Files)
		logIDs(e, "keys_added", r.KeysAdded)
		logIDs(e, "keys_removed", r.KeysRemoved)
		logIDs(e, "keys_changed", r.KeysChanged)
		logIDs(e, "chatflows_added", r.ChatflowsAdded)
		logIDs(e, "chatflows_removed", r.ChatflowsRemoved)
		logIDs(e, "chatflows_changed", r.ChatflowsChanged)
		e.Msg("key file applied")
	}
}

// logIDs adds IDs or names to a line, or their number if there are many.
func logIDs(e *zerolog.Event, name string, ids []string) {
	switch n := len(ids); {
	case n > maxLogged:
		e.Int(name, n)
	case n > 0:
		e.Strs(name, ids)
	}
}
