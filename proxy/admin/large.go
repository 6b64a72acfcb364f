package admin

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// The limits of responses that may be megabytes, as with 50,000 keys.
const (
	maxLarge  = 2                // that are in memory at once
	largeWait = 10 * time.Second // for a client to wait for its turn
	pieceTime = 5 * time.Second  // for a client to read a piece
	pieceSize = 64 << 10         // bytes
)

// large limits the memory that the large responses of a path take. Each is made as a whole, and then sent for as long
// as the client goes on reading. Only maxLarge are in memory at once; other clients wait.
type large struct{ turns chan struct{} }

func newLarge() large { return large{make(chan struct{}, maxLarge)} }

// handler returns a handler that sends next's responses within these limits.
func (l large) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait := time.NewTimer(largeWait)
		defer wait.Stop()
		select {
		case l.turns <- struct{}{}:
			defer func() { <-l.turns }()
		case <-r.Context().Done():
			return
		case <-wait.C:
			w.Header().Set("Retry-After", strconv.Itoa(int(pieceTime.Seconds())))
			http.Error(w, "others are reading this and are slow; ask again", http.StatusServiceUnavailable)
			return
		}
		b := &bufferedResponse{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(b, r)
		b.send(w)
	})
}

// bufferedResponse is a response in memory.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *bufferedResponse) Header() http.Header         { return b.header }
func (b *bufferedResponse) WriteHeader(status int)      { b.status = status }
func (b *bufferedResponse) Write(p []byte) (int, error) { return b.body.Write(p) }

// send sends the response to a client, for as long as the client goes on reading.
func (b *bufferedResponse) send(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	b.header.Set("Content-Length", strconv.Itoa(b.body.Len()))
	w.WriteHeader(b.status)
	for b.body.Len() > 0 {
		_ = control.SetWriteDeadline(time.Now().Add(pieceTime)) // an error means that there is no connection to stall
		if _, err := w.Write(b.body.Next(pieceSize)); err != nil {
			return // the client has left, or does not read
		}
	}
}
