package console

import (
	"context"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/flowise"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// The bounds of asking Flowise for its chatflows.
const (
	upstreamAge     = 30 * time.Second // how old a list may be before Flowise is asked again
	upstreamTimeout = 5 * time.Second
	maxUpstreamList = 16 << 20 // bytes; each chatflow comes with its drawing
)

// upstream lists the chatflows that Flowise has. Its methods may be called concurrently.
type upstream struct {
	path         string // of the file with an API key; empty: nothing is listed
	url          string
	certificates *certificate.Store

	mu    sync.Mutex // guards the fields below; not held while Flowise is asked
	asked time.Time
	done  chan struct{} // closed when the list that is being fetched has arrived; nil if none is being fetched
	found []flowise.Chatflow
	err   error
}

// list returns the chatflows of Flowise. If the last list is older than upstreamAge, it asks Flowise for a new one,
// once for all concurrent callers. With an error, it returns the chatflows that Flowise had when it last responded.
func (u *upstream) list() ([]flowise.Chatflow, error) {
	if u.path == "" {
		return nil, nil
	}
	u.mu.Lock()
	done := u.done
	if done == nil && time.Since(u.asked) < upstreamAge {
		defer u.mu.Unlock()
		return u.found, u.err
	}
	if done == nil {
		done = make(chan struct{})
		u.done = done
		go u.ask(done)
	}
	u.mu.Unlock()
	<-done // ask has a timeout
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.found, u.err
}

// ask asks Flowise, and closes done.
func (u *upstream) ask(done chan struct{}) {
	found, err := u.chatflows()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err = err; err == nil {
		u.found = found
	}
	u.asked, u.done = time.Now(), nil
	close(done)
}

func (u *upstream) chatflows() ([]flowise.Chatflow, error) {
	credential, err := flowise.ReadAPIKey(u.path) // anew, since it may have changed
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), upstreamTimeout)
	defer cancel()
	return flowise.Chatflows(ctx, flowise.Options{
		URL: u.url, Credential: credential, RootCAs: u.certificates.Upstream().RootCAs, Timeout: upstreamTimeout, MaxResponse: maxUpstreamList,
	})
}

// nameOf returns the name that Flowise has for a chatflow, if a key file can have that name.
func (u *upstream) nameOf(id string) string {
	found, _ := u.list()
	for _, c := range found {
		if c.ID == id && keystore.ValidateText("name", c.Name) == nil {
			return c.Name
		}
	}
	return ""
}

// named returns the IDs of the chatflows that Flowise calls by a name.
func (u *upstream) named(name string) (ids []string) {
	found, _ := u.list()
	for _, c := range found {
		if c.Name == name {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
