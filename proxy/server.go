package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/proxy/connection"
)

// The limits of a server. There is no limit on how long a response lasts, because it would cut streams.
const (
	headerTimeout  = 10 * time.Second // for a request's header to arrive
	idleTimeout    = 2 * time.Minute  // for the next request on a connection
	maxHeaderBytes = 16 << 10
	cutGrace       = 2 * time.Second         // for handlers to return once their requests are cut
	closeGrace     = 1500 * time.Millisecond // for the last responses to be flushed
)

// DefaultMaxConnections is how many connections clients may have open.
const DefaultMaxConnections = 10_000

// maxAdminConnections is how many connections operators may have open.
const maxAdminConnections = 32

// Why requests are cut when the gate ends.
var (
	errDrainOver      = errors.New("the time to drain was over")
	errListenerFailed = errors.New("a listener of the gate failed, so the gate ends")
)

// Serve runs the gate on data, and admin, the handler for operators, on adminListener, until ctx is done. Then it drains:
// new requests get 503, and open requests and streams may finish within drain before they are cut. A drain of zero cuts
// them at once. Serve closes both listeners. It returns nil after a drain, even if it had to cut requests, and an error
// if a listener failed.
func (p *Proxy) Serve(ctx context.Context, data, adminListener net.Listener, admin http.Handler, drain time.Duration) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	gate := p.server(p)
	goAway := p.secure(gate)
	gate.BaseContext = func(net.Listener) context.Context { return context.WithValue(base, serverContextKey{}, base) }
	p.connections.Watch(gate)
	operators := p.server(admin)
	operators.WriteTimeout = writeIdle
	connection.NewSet(maxAdminConnections, nil, nil).Watch(operators)

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if p.opts.CutRevoked {
		go p.streams.watch(background, p)
	}
	go p.probeUpstream(background)
	go p.pruneGone(background)

	failed := make(chan error, 2)
	go func() { failed <- serve(gate, p.lingering.Listen(data)) }()
	go func() { failed <- serve(operators, adminListener) }()
	var err error
	var quiet bool
	select {
	case <-ctx.Done():
		quiet = p.drain(gate, drain, goAway, cut)
	case err = <-failed:
		p.inflight.close()
		cut(errListenerFailed)
		quiet = p.inflight.wait(cutGrace)
	}
	err = errors.Join(err, p.close(gate, quiet), operators.Close())
	p.sampler.summarize()
	return err
}

type serverContextKey struct{}

// serverContext returns the context that ends when the gate cuts everything that is open. A request's own context cannot
// tell that any more once its client has left.
func serverContext(request context.Context) context.Context {
	if c, ok := request.Value(serverContextKey{}).(context.Context); ok {
		return c
	}
	return context.Background()
}

// close closes the connections of clients. If all requests have ended, it gives the last responses a moment to be
// flushed. If one has not, its handler did not notice that it was cut, and has had its time.
//
// net/http sends each TLS client a close notification before it closes the connection, one client after the other, and
// waits 5 s for each that does not read. So close waits no longer than closeGrace, and then closes the connections
// without that.
func (p *Proxy) close(gate *http.Server, quiet bool) error {
	last, done := context.WithTimeout(context.Background(), closeGrace)
	defer done()
	if quiet {
		flushed := make(chan struct{})
		go func() {
			defer close(flushed)
			_ = gate.Shutdown(last)
		}()
		select {
		case <-flushed:
		case <-last.Done():
		}
		p.lingering.Wait(last)
	}
	p.connections.CloseAll()
	return gate.Close()
}

// drain lets open requests finish, until limit has passed, and reports whether all have ended.
func (p *Proxy) drain(gate *http.Server, limit time.Duration, goAway func(), cut context.CancelCauseFunc) (quiet bool) {
	log := p.opts.Log
	log.Info().Int64("open", p.inflight.open.Load()).Str("drain", limit.String()).Msg("draining: new requests get 503, open ones may finish")
	p.inflight.close()
	go gate.SetKeepAlivesEnabled(false) // closes idle connections, and may block on their clients: see close
	goAway()
	if p.inflight.wait(limit) {
		log.Info().Msg("drained")
		return true
	}
	log.Warn().Int64("open", p.inflight.open.Load()).Msg("the time to drain is over; open requests are cut")
	cut(errDrainOver)
	return p.inflight.wait(cutGrace)
}

func (p *Proxy) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          p.errorLog,
		// net/http would respond to `OPTIONS *` itself, with 200.
		DisableGeneralOptionsHandler: true,
	}
}

// serve serves until the server is closed, over TLS if it has certificates.
func serve(s *http.Server, l net.Listener) (err error) {
	if s.TLSConfig == nil {
		err = s.Serve(l)
	} else {
		err = s.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving on %s: %w", l.Addr(), err)
}

// inflight counts open requests and, once closed, admits no more. It includes websockets, which http.Server.Shutdown does
// not wait for.
type inflight struct {
	open   atomic.Int64
	closed atomic.Bool
	signal atomic.Pointer[chan struct{}]
}

// begin reports whether a request may begin. If so, end must be called.
func (f *inflight) begin() bool {
	f.open.Add(1)
	if f.closed.Load() {
		f.end()
		return false
	}
	return true
}

func (f *inflight) end() {
	if f.open.Add(-1) > 0 {
		return
	}
	if c := f.signal.Load(); c != nil {
		select {
		case *c <- struct{}{}:
		default:
		}
	}
}

func (f *inflight) close() { f.closed.Store(true) }

// wait waits until no request is open, for at most limit. It reports whether none is.
func (f *inflight) wait(limit time.Duration) bool {
	c := make(chan struct{}, 1)
	f.signal.Store(&c)
	over := time.NewTimer(limit)
	defer over.Stop()
	for f.open.Load() > 0 {
		select {
		case <-c:
		case <-over.C:
			return f.open.Load() <= 0
		}
	}
	return true
}
