package proxy

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// ownKeyRoute is where a client asks what its key may do.
var ownKeyRoute = route.Route{Name: "own_key", Path: ownPrefixPath + "key", Methods: []string{http.MethodGet}}

// maxOwnChatflows is how many of a key's chatflows are listed.
const maxOwnChatflows = 100

// ownKey is what a client gets to see of its key.
type ownKey struct {
	ID        string     `json:"id"`
	NotAfter  *time.Time `json:"not_after"` // null if it does not expire
	Chatflows []string   `json:"chatflows"` // names, or IDs; "*" stands for all that are not listed
	More      int        `json:"more_chatflows,omitempty"`
	Limits    []ownLimit `json:"limits"`
}

// ownLimit is how much a key has used of one of its limits.
type ownLimit struct {
	Limit    string `json:"limit"` // as it is written in the key file
	Of       int64  `json:"of"`
	Used     int64  `json:"used"`
	Left     int64  `json:"left"`
	Resets   int64  `json:"resets_in_seconds,omitempty"` // until more is available; not for requests at once
	Enforced bool   `json:"enforced"`
}

// serveOwnKey responds to a client that asks about its key, which must be valid. Such requests count against no limit.
func (p *Proxy) serveOwnKey(x *exchange, _ *http.Request) {
	if !p.decideOwn(x) {
		return
	}
	x.body.End()
	h := x.response.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(&x.response).Encode(p.ownKey(x.Key, x.snapshot)) // a client that has left cannot be told
}

func (p *Proxy) ownKey(k *keystore.Key, s *keystore.Snapshot) ownKey {
	v := ownKey{ID: k.ID, Chatflows: []string{}, Limits: []ownLimit{}}
	if end := k.NotAfter(); !end.IsZero() {
		v.NotAfter = &end
	}
	for _, c := range s.Chatflows() {
		switch {
		case !c.Lists(k):
		case len(v.Chatflows) < maxOwnChatflows:
			v.Chatflows = append(v.Chatflows, c.Label())
		default:
			v.More++
		}
	}
	holder := []limit.Holder{{Kind: limit.Key, ID: k.ID, Limits: k.Limits}}
	for _, l := range p.opts.Limiter.Standings(holder, p.Now()) {
		v.Limits = append(v.Limits, ownLimit{
			Limit: LimitName(l.Reason, l.Unit, l.Limit), Of: l.N, Used: l.N - l.Left, Left: l.Left,
			Resets: problem.Seconds(l.Reset), Enforced: !l.Observed,
		})
	}
	return v
}
