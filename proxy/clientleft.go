package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// A request that its client gives up is cancelled, but for three kinds:
//
//   - Whoever has no key could have connections to the upstream opened and closed as fast as they can send: hundreds a
//     second. On the routes that need no key a request is short, so it is finished although nobody waits for it, and its
//     connection serves the next one.
//   - Where the number of requests at once is limited, a request keeps its place until the upstream has ended: Flowise goes
//     on when a client has left, and whoever opens requests and breaks off could have any number. The response is read to
//     its end and thrown away.
//   - Where the upstream is told to end it (see aborter), its response is read to its end likewise.
const (
	finishTime  = 2 * time.Second // for the response of the first kind, after its client has left
	finishBytes = 64 << 10        // of such a response that is read for its connection's sake
)

var (
	errClientLeft = errors.New("the client left before the response began")
	errNobodyLeft = errors.New("the client has left and the upstream goes on for too long")
)

// timeWithoutClient returns how long a request goes on when its client has left.
func (x *exchange) timeWithoutClient() time.Duration {
	switch {
	case x.Websocket:
	case x.outlivesClient():
		return cmp.Or(x.limits.stream, x.proxy.opts.UpstreamTimeout)
	case x.Method == http.MethodGet || x.Method == http.MethodHead:
		if x.anonymous() && (x.Route.Access == route.Public || x.Route.Access == route.ListedOnly) {
			return finishTime
		}
	}
	return 0
}

// outlivesClient reports whether a request goes on until the upstream has ended.
func (x *exchange) outlivesClient() bool { return x.limits.holdsPlace || x.mayAbort() }

// withoutClient returns a context that does not end with the client's, but that time after it; at once if it was the gate
// that ended that one, or if the gate cuts what is open. left, if there is one, is called when the client has left. stop must be called when the
// request is over.
func (x *exchange) withoutClient(limit time.Duration, left func()) (_ context.Context, cancel context.CancelCauseFunc, stop func() bool) {
	client := x.ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(client))
	return ctx, cancel, context.AfterFunc(client, func() {
		if cause := context.Cause(client); !errors.Is(cause, context.Canceled) {
			cancel(cause)
			return
		}
		x.limits.left.Store(time.Now().UnixNano())
		if left != nil && ctx.Err() == nil {
			left()
		}
		gate := serverContext(client)
		select {
		case <-ctx.Done(): // the request is over
		case <-gate.Done():
			cancel(context.Cause(gate))
		case <-time.After(limit):
			cancel(errNobodyLeft)
		}
	})
}

// finish reads the rest of a response that nobody waits for.
func (x *exchange) finish(res *http.Response) {
	limit := int64(finishBytes)
	if x.outlivesClient() {
		limit = math.MaxInt64
	}
	_, _ = io.CopyN(io.Discard, res.Body, limit) // whatever is wrong with it, nobody is there to be told
}
