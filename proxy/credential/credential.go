// Package credential reads the credential that the upstream itself wants from files, and again when they change.
package credential

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// maxCredential is the size of the largest file with a credential that is read, in bytes.
const maxCredential = 64 << 10

// Read reads a file with the upstream's credential and returns what to send in the preset's credential
// header: a token, sent as Bearer in Authorization, or there also a scheme with its credentials.
func Read(p *route.Preset, path string) (value string, err error) {
	raw, err := watch.ReadFile(path, maxCredential)
	if err != nil {
		return "", fmt.Errorf("reading the upstream's credential: %w", err)
	}
	v := strings.TrimSpace(string(raw))
	scheme, rest, two := strings.Cut(v, " ")
	switch {
	case v == "":
		return "", fmt.Errorf("reading the upstream's credential: %s is empty", path)
	case !two && keystore.IsToken(v):
		return p.Credential(v), nil
	case p.CredentialHeader != "Authorization":
		return "", fmt.Errorf("reading the upstream's credential: %s must hold a token and nothing else, which is what %s takes as %s", path, p.Runner, p.CredentialHeader)
	case two && keystore.IsToken(scheme) && keystore.IsToken(rest):
		return v, nil
	}
	return "", fmt.Errorf("reading the upstream's credential: %s holds neither a token nor a scheme and a token", path)
}

// Files are the files with the upstream's credentials. A file is read again when it is needed and was last read
// credentialAge ago. If it can no longer be read, its last good content stays in use. All methods may be called
// concurrently.
type Files struct {
	Preset *route.Preset
	Failed func(path string, err error) // told of a new fault of a file, while an older content is used

	mu    sync.Mutex             // guards the map, and the credentials in it; not held while a file is read
	files map[string]*credential // by path
}

const credentialAge = 2 * time.Second

type credential struct {
	value   string
	err     error  // if there is no value
	fault   string // why the file could not be read the last time; empty if it could
	read    time.Time
	reading chan struct{} // closed when the file has been read; nil if nobody reads it
}

// Value returns the credential header for the file at path. Of the requests that need it at once, one reads the file. The
// others use what it held before, or wait if that is nothing; reading a file has a limit of time.
func (c *Files) Value(path string, now time.Time) (string, error) {
	c.mu.Lock()
	f := c.files[path]
	if f == nil {
		f = &credential{}
		if c.files == nil {
			c.files = map[string]*credential{}
		}
		c.files[path] = f
	}
	reading := f.reading
	age := now.Sub(f.read)
	switch {
	case reading != nil && f.value == "":
		c.mu.Unlock()
		<-reading
		c.mu.Lock()
	case reading == nil && (age < 0 || age >= credentialAge):
		f.reading = make(chan struct{})
		c.mu.Unlock()
		c.refresh(f, path, now)
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	return f.value, f.err
}

// refresh reads the file at path. The caller has set f.reading.
func (c *Files) refresh(f *credential, path string, now time.Time) {
	value, err := Read(c.Preset, path)
	c.mu.Lock()
	f.read = now
	isOld, fault := err != nil && f.value != "", ""
	if !isOld {
		f.value, f.err = value, err
	}
	if err != nil {
		fault = err.Error()
	}
	isNews := fault != f.fault
	f.fault = fault
	close(f.reading)
	f.reading = nil
	c.mu.Unlock()
	if isOld && isNews { // and not every credentialAge
		c.Failed(path, err)
	}
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
