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

// Flowise goes on when a client has left, and when the gate closes the connection to it. Where a chatflow has
// on_disconnect: abort, it is told, once, to end what the request has begun. The request still lasts until the upstream has
// ended: it ends between two steps of a chatflow, or not at all.
const (
	abortTime  = 5 * time.Second // for the upstream to respond when it is told
	abortBytes = 64 << 10        // of its response that are read for the connection's sake
	maxAborts  = 64              // at once
)

// mayAbort reports whether the upstream is to be told when an allowed request need not go on.
func (a *authorization) mayAbort() bool {
	return a.Entry != nil && a.Entry.AbortOnDisconnect && a.Route.Abort != nil
}

// aborter returns what tells the upstream to end the request, or nil. It does so the first time that it is called, and returns at
// once. It must be made before the body is sent, which is gone then.
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
		go func() { // with nothing of the exchange, which may end meanwhile
			// Whoever has no key must not be able to fill a disk.
			if err := p.abort(how, path, header); err != nil && (withKey || p.sampler.allow(sampled{code: problem.AllowedWithoutKey}, time.Now())) {
				log.Info().Err(err).Msg("the upstream could not be told to end a request that nobody waits for; it goes on")
			}
		}()
	})
}

// unlessEnded returns what calls abort when the context of a request is over, unless that has ended: the gate has given it up.
func unlessEnded(ctx context.Context, abort func()) func() {
	return func() {
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			abort()
		}
	}
}

// abort tells the upstream to end a request.
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
	_, _ = io.CopyN(io.Discard, res.Body, abortBytes) // its status is known
	res.Body.Close()
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("it responds %d: it wants a credential of its own, see upstream_authorization", res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return fmt.Errorf("it responds %d", res.StatusCode)
	}
	return nil
}

// abortPath returns the path by which the upstream is told to end an allowed request, or nothing if its body names no
// conversation.
func (a *authorization) abortPath() string {
	for _, names := range a.Route.Abort.Conversation {
		if conversation, found := body.Text(a.buffered.Content(), names...); found {
			return a.Route.Abort.For(a.question.Chatflow, conversation)
		}
	}
	return ""
}
