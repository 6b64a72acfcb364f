package main

import (
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// openTokens opens the secrets that sign browser tokens, and logs each reload of their file.
func openTokens(c *config.Config, log zerolog.Logger) (*token.Secrets, error) {
	if c.BrowserSecrets == "" {
		return token.Random(), nil
	}
	secrets, err := token.Open(c.BrowserSecrets, token.Options{OnReload: func(r token.Reload) { logTokens(c, log, r) }})
	if err == nil && secrets.IsMounted() {
		log.Warn().Str("file", c.BrowserSecrets).Msg("this file is mounted by itself (a single-file volume, or a Kubernetes subPath), so new secrets never arrive here; mount its directory instead")
	}
	return secrets, err
}

func logTokens(c *config.Config, log zerolog.Logger, r token.Reload) {
	switch r.Result {
	case keystore.Failed:
		log.Error().Err(r.Err).Int("secrets", r.Secrets).Msg("the file of --browser-secrets is invalid; the last good secrets stay active")
	case keystore.Unchanged:
		log.Info().Str("file", c.BrowserSecrets).Int("secrets", r.Secrets).Msg("secrets of browser tokens unchanged")
	case keystore.Loaded:
		log.Info().Str("file", c.BrowserSecrets).Int("secrets", r.Secrets).Msg("secrets of browser tokens applied")
	}
}

// randomSecretsNotice returns a function that, at the first snapshot with keys for browser tokens, logs what a random
// secret means for them. It logs nothing if --browser-secrets is set.
func randomSecretsNotice(c *config.Config, log zerolog.Logger) func(*keystore.Snapshot) {
	told := c.BrowserSecrets != ""
	return func(s *keystore.Snapshot) {
		if !told && s.AnyBrowser() {
			told = true
			log.Info().Msg("browser tokens are signed with a random secret of this process, so they are for one replica and end with it; for more, or to survive restarts, set --browser-secrets")
		}
	}
}
