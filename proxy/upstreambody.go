package proxy

import (
	"errors"
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
	outlives *exchange   // set if the request goes on until the upstream is done, even without its client; else nil
	whole    func() bool // called when all of the body was read; nil if the request ends with its client
}

// Read reads from the upstream. Once all of the body was read, the client may have the whole response before we are done.
// If it leaves then, it has not left early, and there is nothing to abort.
func (b *upstreamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.whole != nil && errors.Is(err, io.EOF) { // with the last bytes, if the body has a length
		b.whole()
	}
	return n, err //nolint:wrapcheck // ReverseProxy looks at it
}

// Close ends the body, which completes the trailers.
func (b *upstreamBody) Close() error {
	if x := b.outlives; x != nil {
		_, _ = io.Copy(io.Discard, b.ReadCloser) // if it fails, there is nobody to be told
		switch {
		case x.response.failed:
			x.noteAbort()
		case x.limits.left.Load() > 0:
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
