package proxy

import (
	"cmp"
	"math"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/share"
)

// How many requests without a valid key may be at the upstream at once: requests for public chatflows and public routes,
// discovery, and preflights. Each takes a connection to the upstream, and an upstream that stalls ends none of them.
const (
	maxAnonymous        = 256 // of all clients together
	maxAnonymousAddress = 32  // of one client address
)

// upstreamShare limits the requests that are at the upstream at once.
type upstreamShare struct {
	all       *share.Pool // as many as there are file descriptors for
	anonymous *share.Pool // those without a valid key
}

// newUpstreamShare returns the limits if limit requests may be at the upstream. Zero means any number.
func newUpstreamShare(limit int) upstreamShare {
	all := int64(cmp.Or(limit, math.MaxInt))
	anonymous := max(min(maxAnonymous, all/4), 1)
	return upstreamShare{share.NewPool(all, 0), share.NewPool(anonymous, max(min(maxAnonymousAddress, anonymous/4), 1))}
}

// anonymous reports whether a request has no valid key.
func (x *exchange) anonymous() bool { return x.Key == nil || x.Validity != keystore.Valid }

// takeUpstream takes a place at the upstream for a request, until giveUpstream gives it back, or refuses the request.
func (x *exchange) takeUpstream() *problem.Error {
	s := &x.proxy.upstream
	if x.anonymous() && !s.anonymous.Take(x.client, 1) {
		return &upstreamShareUsed
	}
	if !s.all.Take(x.client, 1) {
		if x.anonymous() {
			s.anonymous.Give(x.client, 1)
		}
		return &noDescriptors
	}
	connection.Of(x.response.request.Context()).Hold()
	return nil
}

func (x *exchange) giveUpstream() {
	s := &x.proxy.upstream
	connection.Of(x.response.request.Context()).Release(x.response.hijacked)
	s.all.Give(x.client, 1)
	if x.anonymous() {
		s.anonymous.Give(x.client, 1)
	}
}

var (
	upstreamShareUsed = problem.Error{
		Code: problem.Overloaded, RetryAfter: time.Second, Detail: "too many requests without an API key are being served at once; send it again, or send a key",
		Reason: "the share of the upstream for requests without a key, or that of the client's address, is used up",
	}
	noDescriptors = problem.Error{
		Code: problem.Overloaded, RetryAfter: time.Second, Detail: "too many requests are being served at once; send it again",
		Reason: "the file descriptors for connections to the upstream are used up: raise `ulimit -n`",
	}
)
