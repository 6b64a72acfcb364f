package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// heldBody is a request body that was read whole before it is sent upstream. Its memory is free once it
// is closed: the transport does that when it has sent it, while the answer may take long.
// A nil one is no body. Read and Close may be called concurrently, as transports do.
type heldBody struct {
	size     int64
	memory   int64 // that the bytes take
	holdings *holdings

	mu     sync.Mutex // guards what follows
	reader *bytes.Reader
	bytes  []byte
}

// content is all of the body, as long as it is not closed. Callers must not change it.
func (b *heldBody) content() []byte {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Read reads on.
func (b *heldBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(p)
}

// Close is what transports call when they have sent the body.
func (b *heldBody) Close() error {
	b.drop()
	return nil
}

// drop gives the memory back. It may be called more than once.
func (b *heldBody) drop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != nil {
		b.reader, b.bytes = nil, nil
		b.holdings.now.Add(-b.memory)
	}
}

// holdings bounds the memory of bodies that are held.
type holdings struct {
	most int64 // bytes
	now  atomic.Int64
}

// read reads a body of at most limit bytes. It must be dropped. Memory is taken as bytes come: a caller that
// only announces a body holds none.
func (h *holdings) read(body io.Reader, limit int64) (*heldBody, *Error) {
	var raw []byte
	from := io.LimitReader(body, limit+1)
	for {
		if len(raw) == cap(raw) {
			size := min(int64(max(2*cap(raw), 512)), limit+1)
			if h.now.Add(size-int64(cap(raw))) > h.most {
				h.now.Add(-size)
				return nil, &Error{
					Code: CodeOverloaded, RetryAfter: time.Second, Detail: "too many requests are being checked at once; send it again",
					Reason: fmt.Sprintf("the bodies that are being checked hold %d bytes, as much as they may", h.most),
				}
			}
			raw = append(make([]byte, 0, size), raw...)
		}
		n, err := from.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case int64(len(raw)) > limit:
			h.now.Add(-int64(cap(raw)))
			return nil, tooLargeToCheck(limit)
		case errors.Is(err, io.EOF):
			return &heldBody{size: int64(len(raw)), memory: int64(cap(raw)), holdings: h, reader: bytes.NewReader(raw), bytes: raw}, nil
		case err != nil:
			h.now.Add(-int64(cap(raw)))
			return nil, bodyError(err)
		}
	}
}

func tooLargeToCheck(limit int64) *Error {
	return &Error{Code: CodeBodyTooLarge, Detail: fmt.Sprintf("the body is larger than the %d bytes that are read to check it", limit)}
}
