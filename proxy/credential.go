package proxy

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// credentials are the files that hold what the runner is sent as credential. A file is looked at
// again when it is needed and the last look is credentialAge ago; one that cannot be read any more
// leaves the last good content in force. The zero value is ready; all methods may be called
// concurrently.
type credentials struct {
	mu    sync.Mutex
	files map[string]*credential // by path; the paths are the operator's, so the map is bounded
	// failed is told of a file that cannot be read while an older content serves.
	failed func(path string, err error)
	preset *Preset
}

const credentialAge = 2 * time.Second

type credential struct {
	value string
	read  time.Time
	err   error
}

// value returns what the credential header is for the file at path.
func (c *credentials) value(path string, now time.Time) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[path]
	if f == nil {
		f = &credential{}
		if c.files == nil {
			c.files = map[string]*credential{}
		}
		c.files[path] = f
	}
	if age := now.Sub(f.read); age >= 0 && age < credentialAge {
		return f.value, f.err
	}
	f.read = now
	value, err := c.preset.ReadCredential(path)
	switch {
	case err == nil:
		f.value, f.err = value, nil
	case f.value == "":
		f.err = err
	case c.failed != nil:
		c.failed(path, err)
	}
	return f.value, f.err
}

// ReadCredential reads a credential file and returns what stands for it in the credential header: a token,
// sent as Bearer in Authorization, or there also a scheme and its credentials.
func (p *Preset) ReadCredential(path string) (value string, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the credential for the runner: %w", err)
	}
	v := strings.TrimSpace(string(raw))
	scheme, rest, two := strings.Cut(v, " ")
	switch {
	case v == "":
		return "", fmt.Errorf("reading the credential for the runner: %s is empty", path)
	case !two && keystore.IsToken(v):
		return p.credential(v), nil
	case p.CredentialHeader != authorizationHeader:
		return "", fmt.Errorf("reading the credential for the runner: %s does not hold a token and nothing else, which is what %s takes as %s", path, p.Runner, p.CredentialHeader)
	case two && keystore.IsToken(scheme) && keystore.IsToken(rest):
		return v, nil
	}
	return "", fmt.Errorf("reading the credential for the runner: %s holds neither a token nor a scheme and a token", path)
}
