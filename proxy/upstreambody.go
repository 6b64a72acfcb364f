package proxy

import (
	"io"
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// upstreamBody is the body of an upstream's response. When it has ended, it removes the trailers that must not pass,
// because ReverseProxy passes on all of them, even those that were not announced.
type upstreamBody struct {
	io.ReadCloser
	response *http.Response
	ownCORS  bool        // as for [header.CleanTrailers]
	client   http.Header // of the response to the client, which has already been written
	outlives *exchange   // set if its place is kept until the upstream is done; else nil
}

// Close ends the body, which completes the trailers.
func (b *upstreamBody) Close() error {
	if x := b.outlives; x != nil {
		_, _ = io.Copy(io.Discard, b.ReadCloser) // if it fails, there is nobody to be told
		if x.limits.left.Load() > 0 && !x.response.has(b.response.ContentLength) {
			x.abandon(problem.ClientClosed, "the client left in the middle of the response")
		}
	}
	err := b.ReadCloser.Close()
	header.CleanTrailers(b.response.Trailer, b.ownCORS)
	for name := range b.response.Trailer {
		delete(b.client, name) // ReverseProxy adds trailers to it
	}
	return err
}
