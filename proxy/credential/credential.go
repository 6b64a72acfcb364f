// Package credential reads, from files, the credential that the upstream itself wants, and reads it again when it
// changes.
package credential

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// maxCredential is the largest credential file that is read, in bytes.
const maxCredential = 64 << 10

// Read reads a file with the upstream's credential and returns the value for the preset's credential header. The file
// holds a token, which is sent as Bearer in Authorization. For Authorization, it may also hold a scheme and its
// credentials.
func Read(p *route.Preset, path string) (value string, err error) {
	r := newReloader(p, path).Reload(true)
	return r.New, r.Err
}

// newReloader returns a reloader of the upstream's credential in a file.
func newReloader(p *route.Preset, path string) *watch.Reloader[string] {
	fail := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("reading the upstream's credential: "+format, args...)
	}
	return watch.NewReloader(maxCredential, func(contents [][]byte, err error) (string, error) {
		v := strings.TrimSpace(string(contents[0]))
		scheme, rest, two := strings.Cut(v, " ")
		switch {
		case err != nil:
			return fail("%w", err)
		case v == "":
			return fail("%s is empty", path)
		case !two && keystore.IsToken(v):
			return p.Credential(v), nil
		case p.CredentialHeader != "Authorization":
			return fail("%s must hold a token and nothing else, which is what %s takes as %s", path, p.Runner, p.CredentialHeader)
		case two && keystore.IsToken(scheme) && keystore.IsToken(rest):
			return v, nil
		}
		return fail("%s holds neither a token nor a scheme and a token", path)
	}, path)
}

// Files are the files with the upstream's credentials. When a credential is needed and its file was last read
// credentialAge ago or longer, the file is read again; sooner if it may be half written. If it can no longer be read, its
// last good content stays in use. All methods may be called concurrently.
type Files struct {
	Preset *route.Preset
	Failed func(path string, err error) // called for a new fault of a file, while its older content is used

	mu    sync.Mutex       // guards the map, and the times in it; not held while a file is read
	files map[string]*file // by path
}

const credentialAge = 2 * time.Second

type file struct {
	*watch.Reloader[string]
	due time.Time // when to read the file again
}

// Value returns the credential header's value from the file at path. If several requests need it at once, one of them
// reads the file. The others use its previous content, or wait if there is none yet; reading a file has a time limit.
func (c *Files) Value(path string, now time.Time) (string, error) {
	c.mu.Lock()
	f := c.files[path]
	if f == nil {
		f = &file{Reloader: newReloader(c.Preset, path)}
		if c.files == nil {
			c.files = map[string]*file{}
		}
		c.files[path] = f
	}
	left := f.due.Sub(now)
	isDue := left <= 0 || left > watch.Timeout // the clock was set
	if isDue {
		f.due = now.Add(watch.Timeout) // until it has been read
	}
	c.mu.Unlock()
	if isDue || f.Value() == "" && f.Fault() == nil {
		r := f.Reload(false)
		c.mu.Lock()
		f.due = now.Add(cmp.Or(r.RetryIn, credentialAge))
		c.mu.Unlock()
		if r.IsNews && r.Err != nil && r.New != "" { // not every credentialAge again
			c.Failed(path, r.Err)
		}
	}
	err := f.Fault() // before Value, which another request may be about to set
	if v := f.Value(); v != "" {
		return v, nil
	}
	return "", err
}

// Prune forgets the files that no chatflow names any more.
func (c *Files) Prune(s *keystore.Snapshot, always string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := maps.Clone(c.files)
	delete(gone, always)
	for _, chatflow := range s.Chatflows() {
		delete(gone, chatflow.UpstreamAuthorization.Path)
	}
	for path := range gone {
		delete(c.files, path)
	}
}
