package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Flowise goes on when a client has left, and also when the gate closes the connection to it. If a chatflow has
// on_disconnect: abort, Flowise is told, once, to abort what the request has begun. The request still lasts until the
// upstream is done with it: Flowise stops between two steps of a chatflow, or not at all.
const (
	abortTime  = 5 * time.Second // for the upstream's response to an abort
	abortBytes = 64 << 10        // how much of that response is read so that its connection can be reused
	maxAborts  = 64              // at once
)

// mayAbort reports whether the upstream is to be told when an allowed request need not go on.
func (a *authorization) mayAbort() bool {
	return a.Entry != nil && a.Entry.AbortOnDisconnect && a.Route.Abort != nil
}

// aborter returns a function that tells the upstream to abort the request, or nil. The function acts only the first time
// it is called, and returns at once. aborter must be called before the body is sent, because the body is gone after that.
func (f *forwarding) aborter() (abort func()) {
	if !f.mayAbort() {
		return nil
	}
	p, how := f.proxy, f.Route.Abort
	path := f.abortPath()
	header := http.Header{"X-Forwarded-For": {f.forwardedFor}, "X-Request-Id": {f.id}}
	if f.credential != "" {
		header[p.opts.Preset.CredentialHeader] = []string{f.credential}
	}
	withKey := f.Opens
	log := p.opts.Log.With().Str("request_id", f.id).Str("chatflow", f.Entry.Label()).Logger()
	return sync.OnceFunc(func() {
		go func() { // uses nothing of the exchange, which may end meanwhile
			// Clients without a key must not be able to fill a disk.
			if err := p.abort(how, path, header); err != nil && (withKey || p.sampler.allow(sampled{code: problem.AllowedWithoutKey}, time.Now())) {
				log.Info().Err(err).Msg("the upstream could not be told to end a request that nobody waits for; it goes on")
			}
		}()
	})
}

// unlessEnded returns a function that calls abort if the gate gave up the request with this context, but not if the
// request simply ended.
func unlessEnded(ctx context.Context, abort func()) func() {
	return func() {
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			abort()
		}
	}
}

// abort tells the upstream to abort a request.
func (p *Proxy) abort(how *route.Abort, path string, header http.Header) error {
	if path == "" {
		return fmt.Errorf("the request named no conversation: its body must be JSON of at most %d bytes, with a Content-Length, and have the ID as a text of letters, digits and - . _ ~", p.opts.MaxCheckedBody)
	}
	if p.aborts.Add(1) > maxAborts {
		p.aborts.Add(-1)
		return fmt.Errorf("%d such requests wait for it already", maxAborts)
	}
	defer p.aborts.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), abortTime)
	defer cancel()
	o := &p.opts
	out := &http.Request{
		Method: how.Method, URL: &url.URL{Scheme: o.Upstream.Scheme, Host: o.Upstream.Host, Path: o.Upstream.Path + path},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: o.Upstream.Host, Header: header, Body: http.NoBody,
	}
	if o.PublicURL != nil {
		out.Host = o.PublicURL.Host
	}
	res, err := p.transport.RoundTrip(out.WithContext(ctx))
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("it did not respond within %s", abortTime)
	case err != nil:
		return errors.New(p.unreachable(err).Reason)
	}
	_, _ = io.CopyN(io.Discard, res.Body, abortBytes) // only the status matters
	res.Body.Close()
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("it responds %d: it wants a credential of its own, see upstream_authorization", res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return fmt.Errorf("it responds %d", res.StatusCode)
	}
	return nil
}

// abortPath returns the path with which the upstream is told to abort an allowed request, or "" if the request's body
// names no conversation.
func (a *authorization) abortPath() string {
	for _, names := range a.Route.Abort.Conversation {
		if conversation, found := body.Text(a.buffered.Content(), names...); found {
			return a.Route.Abort.For(a.question.Chatflow, conversation)
		}
	}
	return ""
}
