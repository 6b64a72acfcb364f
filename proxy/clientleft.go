package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// A request that its client gives up is cancelled, for which its connection to the upstream must be closed. Whoever has
// no key could so have connections opened and closed as fast as they can send: hundreds a second. On the routes that need
// no key a request is short, so it is finished although nobody waits for it, and its connection serves the next one.
const (
	finishTime  = 2 * time.Second // for the response, after its client has left
	finishBytes = 64 << 10        // of a response that is read for its connection's sake
)

var errClientLeft = errors.New("the client left before the response began")

// outlivesClient reports whether a request is finished when its client has left.
func (x *exchange) outlivesClient() bool {
	switch x.Method {
	case http.MethodGet, http.MethodHead:
		return x.anonymous() && !x.Websocket && (x.Route.Access == route.Public || x.Route.Access == route.ListedOnly)
	}
	return false
}

// withoutClient returns a context that does not end with the client's, but finishTime after it; at once if it was the
// gate that ended that one. stop must be called when the request is over.
func withoutClient(client context.Context) (_ context.Context, cancel context.CancelCauseFunc, stop func() bool) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(client))
	return ctx, cancel, context.AfterFunc(client, func() {
		if cause := context.Cause(client); !errors.Is(cause, context.Canceled) {
			cancel(cause)
			return
		}
		time.AfterFunc(finishTime, func() { cancel(errClientLeft) })
	})
}

// finish reads the rest of a short response that nobody waits for.
func finish(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, finishBytes) // whatever is wrong with it, nobody is there to be told
}
