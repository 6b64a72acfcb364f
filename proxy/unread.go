package proxy

import (
	"time"

	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// refusalTime is how long a client may take to read a refusal.
const refusalTime = 10 * time.Second

// A client of HTTP/2 decides through its windows when it takes a response. Until then, the gate holds the request, with
// headers of up to 16 KiB. This is how many refused requests may be held; while there are few connections, each may hold
// one more:
const (
	fewConnections   = 256
	maxUnread        = 512 // of all clients together
	maxUnreadAddress = 128 // of one client address
)

// writeRefusal sends a refusal. If too many are unread, a request in HTTP/2 ends without one.
func (x *exchange) writeRefusal(err *problem.Error) {
	w := &x.response
	w.writeLimit = refusalTime
	form := problem.Document
	if x.proxy.opts.Preset.Widget {
		form = problem.FormFor(w.request.Header)
	}
	if w.http1 {
		err.Write(w, x.id, form)
		return
	}
	x.discardBody()
	x.body.Drop()
	if c := connection.Of(w.request.Context()); c != nil && c.IsFirstRefusal() && x.proxy.connections.Count() <= fewConnections {
		err.Write(w, x.id, form)
		return
	}
	w.flushed = true
	if !x.proxy.unread.Take(x.client, 1) {
		w.abortWrites() // resets the stream
		return
	}
	defer x.proxy.unread.Give(x.client, 1)
	err.Write(w, x.id, form)
	_ = w.FlushError() // net/http would wait for the client once the handler has returned
}

// discardBody reads the rest of a request body that nobody wants, in HTTP/2. It does so for no more requests at once than
// there may be unread refusals.
func (x *exchange) discardBody() {
	if x.response.http1 || x.response.failed || !x.body.HasRest() || !x.proxy.unread.Take(x.client, 1) {
		return
	}
	defer x.proxy.unread.Give(x.client, 1)
	x.body.Discard()
}
