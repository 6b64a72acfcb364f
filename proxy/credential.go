package proxy

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// upstreamCredential returns what to send upstream in the credential header, or nothing.
func (p *Proxy) upstreamCredential(a authorization) (string, *problem.Error) {
	if a.Preflight || a.Route.Access == route.Public {
		return "", nil
	}
	u, chatflow := p.opts.UpstreamAuthorization, a.Entry
	if chatflow != nil && chatflow.UpstreamAuthorization.Mode != keystore.UpstreamDefault {
		u = chatflow.UpstreamAuthorization
	}
	switch u.Mode {
	case keystore.UpstreamForward:
		if a.Bearer.Token != "" {
			return credentialOf(p.opts.Preset, a.Bearer.Token), nil
		}
	case keystore.UpstreamFile:
		if !a.Opens && (chatflow == nil || !chatflow.Public) {
			return "", nil // let in for discovery: the upstream's own credential is not for them
		}
		v, err := p.credentials.value(u.Path, a.now)
		if err != nil {
			return "", &problem.Error{Code: problem.UpstreamUnreachable, Detail: "the upstream cannot be reached", Reason: err.Error()}
		}
		return v, nil
	}
	return "", nil
}

// credentialOf is what stands in the credential header for a token.
func credentialOf(p *route.Preset, token string) string {
	if p.CredentialHeader == "Authorization" {
		return "Bearer " + token
	}
	return token
}

// ReadCredential reads a file with the upstream's credential and returns what to send in the preset's credential
// header: a token, sent as Bearer in Authorization, or there also a scheme with its credentials.
func ReadCredential(p *route.Preset, path string) (value string, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("reading the upstream's credential: %s is not a regular file", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the upstream's credential: %w", err)
	}
	v := strings.TrimSpace(string(raw))
	scheme, rest, two := strings.Cut(v, " ")
	switch {
	case v == "":
		return "", fmt.Errorf("reading the upstream's credential: %s is empty", path)
	case !two && keystore.IsToken(v):
		return credentialOf(p, v), nil
	case p.CredentialHeader != "Authorization":
		return "", fmt.Errorf("reading the upstream's credential: %s must hold a token and nothing else, which is what %s takes as %s", path, p.Runner, p.CredentialHeader)
	case two && keystore.IsToken(scheme) && keystore.IsToken(rest):
		return v, nil
	}
	return "", fmt.Errorf("reading the upstream's credential: %s holds neither a token nor a scheme and a token", path)
}

// credentials are the files with the upstream's credentials. A file is read again when it is needed and was last read
// credentialAge ago. If it can no longer be read, its last good content stays in use. All methods may be called
// concurrently.
type credentials struct {
	preset *route.Preset
	failed func(path string, err error) // told of a file that cannot be read while an older content is used

	mu    sync.Mutex // guards what follows
	files map[string]*credential
}

const credentialAge = 2 * time.Second

type credential struct {
	value string
	read  time.Time
	err   error
}

// value returns the credential header for the file at path.
func (c *credentials) value(path string, now time.Time) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[path]
	if f == nil {
		f = &credential{}
		if c.files == nil {
			c.files = map[string]*credential{} // by paths of the key file, which limits their number
		}
		c.files[path] = f
	}
	if age := now.Sub(f.read); age >= 0 && age < credentialAge {
		return f.value, f.err
	}
	f.read = now
	value, err := ReadCredential(c.preset, path)
	switch {
	case err == nil:
		f.value, f.err = value, nil
	case f.value == "":
		f.err = err
	default:
		c.failed(path, err)
	}
	return f.value, f.err
}
