package admin

import (
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// secretsReload is one reload of the secrets of browser tokens.
type secretsReload struct {
	token.Reload
	Error string `json:"error,omitempty"`
}

// reloadSecrets reads the secrets of browser tokens again. It returns nil if they are not in a file.
func (a *Admin) reloadSecrets() *secretsReload {
	r, ok := a.opts.Tokens.Reload()
	if !ok {
		return nil
	}
	return &secretsReload{r, reason(r.Err)}
}

// failed reports whether the file is invalid.
func (r *secretsReload) failed() bool { return r != nil && r.Result == keystore.Failed }

// secretsWarning returns what is wrong with the secrets, if anything is.
func secretsWarning(s *token.Secrets) []string {
	if err := s.Fault(); err != nil {
		return []string{"the secrets of browser tokens are invalid, and the last good ones stay active: " + err.Error()}
	}
	return nil
}
