package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// bodyIdle is how long a request body may stop arriving. There is no limit on the whole: an upload
// over a slow line may take its time.
const bodyIdle = 60 * time.Second

// body is a request body on its way upstream: it is never held, must not be larger than the limit
// and must not stall. What went wrong is kept, because the transport that reads it reports it in
// words of its own.
type body struct {
	io.ReadCloser
	deadline func(time.Time) error
	err      error
}

// limitBody puts the limits on the body of r, which w answers.
func limitBody(w http.ResponseWriter, r *http.Request, limit int64) *body {
	b := &body{
		ReadCloser: http.MaxBytesReader(w, r.Body, limit),
		deadline:   http.NewResponseController(w).SetReadDeadline,
	}
	r.Body = b
	return b
}

func (b *body) Read(p []byte) (int, error) {
	_ = b.deadline(time.Now().Add(bodyIdle)) // not supported: there is no connection to stall
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The server goes on reading after the body to learn of a caller that leaves; left in
		// place, the deadline would end a stream that is still being answered.
		_ = b.deadline(time.Time{})
		if !errors.Is(err, io.EOF) {
			b.err = err
		}
	}
	return n, err
}

// bodyError says what went wrong with a request body.
func bodyError(err error) *Error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &Error{Code: CodeBodyTooLarge, Detail: "the request body is larger than allowed here"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return badRequest("the request body stopped arriving")
	}
	return &Error{Code: CodeBadRequest, Detail: "the request body could not be read", Reason: err.Error()}
}
