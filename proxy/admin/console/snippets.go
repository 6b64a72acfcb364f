package console

import (
	"net"
	"net/http"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// newSecret is a secret to show once, with snippets of programs that call a chatflow of Flowise: see page/secret.html.
type newSecret struct {
	Key, Secret string
	URL         string // of the gate
	Chatflow    string // its ID; empty: no snippets are shown
}

// newSecret returns the secret of a change, or nil if it has none.
func (c *Console) newSecret(r *http.Request, ch change) *newSecret {
	if ch.secret == "" {
		return nil
	}
	s := &newSecret{Key: ch.key, Secret: ch.secret}
	applied := c.opts.Store.Snapshot()
	k := applied.Key(ch.key)
	if k == nil || c.opts.Preset.Name != route.Flowise().Name {
		return s
	}
	s.URL = c.clientURL(r)
	for _, entry := range applied.Listing(k) {
		if entry.ID != keystore.EveryChatflow {
			s.Chatflow = entry.ID
			break
		}
		s.Chatflow = "CHATFLOW" // any
	}
	return s
}

// clientURL returns where clients find the gate: --public-url, or the host by which the operator reached this page.
func (c *Console) clientURL(r *http.Request) string {
	if u := c.opts.PublicURL; u != nil {
		return u.String()
	}
	scheme := "http"
	if c.opts.Certificates.Server() != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(signin.HostOf(r.Host), c.port)
}
