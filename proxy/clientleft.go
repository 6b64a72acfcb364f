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

// When a client gives up its request, the request is cancelled, except for three kinds:
//
//   - A request on a route that needs no key. Otherwise, clients without a key could make the gate open and close
//     connections to the upstream as fast as they can send: hundreds a second. Such a request is short, so it is finished
//     although nobody waits for it, and its connection serves the next one.
//   - A request whose number at once is limited. It keeps its place until the upstream is done: Flowise goes on when a
//     client has left, so a client that opens requests and breaks off could otherwise have any number of them. The response
//     is read to its end and thrown away.
//   - A request that the upstream is told to abort (see aborter). Its response is read to its end as well.
const (
	finishTime  = 2 * time.Second // for the first kind's response, after its client has left
	finishBytes = 64 << 10        // how much of such a response is read so that its connection can be reused
)

var (
	errClientLeft = errors.New("the client left before the response began")
	errNobodyLeft = errors.New("the client has left and the upstream goes on for too long")
)

// timeWithoutClient returns how long a request goes on after its client has left.
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

// outlivesClient reports whether a request goes on until the upstream is done with it.
func (x *exchange) outlivesClient() bool { return x.limits.holdsPlace || x.mayAbort() }

// withoutClient returns a context that ends not with the client's but limit after it. It ends at once if the gate itself
// ended the client's context, or cuts everything that is open. left, unless it is nil, is called when the client has
// left. stop must be called when the request is over.
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
	_, _ = io.CopyN(io.Discard, res.Body, limit) // if it fails, there is nobody to be told
}
