package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/share"
)

// bufferedBody is a request body that was read as a whole before it is sent upstream. Its memory is released when it
// is closed, which the transport does once it has sent it; the response may take long after that. Read and Close may
// be called concurrently, as transports do. A nil *bufferedBody is no body.
type bufferedBody struct {
	size   int64
	memory int64 // bytes taken from budget
	budget *share.Pool
	client netip.Addr // who took them

	mu     sync.Mutex // guards what follows
	reader *bytes.Reader
	bytes  []byte
}

// content returns the body, which must not be changed; nothing once it is closed.
func (b *bufferedBody) content() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Read reads from the body.
func (b *bufferedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(p)
}

// Close releases the memory.
func (b *bufferedBody) Close() error {
	b.release()
	return nil
}

// release is Close. It may be called more than once, and on nil.
func (b *bufferedBody) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != nil {
		b.reader, b.bytes = nil, nil
		b.budget.Give(b.client, b.memory)
	}
}

// bufferBody reads a body of at most limit bytes. Memory is taken from the budget as bytes arrive: a client that only
// announces a body holds none.
func bufferBody(budget *share.Pool, client netip.Addr, body io.Reader, limit int64) (_ *bufferedBody, refusal *problem.Error) {
	var raw []byte
	defer func() {
		if refusal != nil {
			budget.Give(client, int64(cap(raw)))
		}
	}()
	for {
		if len(raw) == cap(raw) {
			size := min(int64(max(2*cap(raw), 512)), limit+1)
			if !budget.Take(client, size-int64(cap(raw))) {
				return nil, bodyBudgetUsed(budget)
			}
			raw = append(make([]byte, 0, size), raw...)
		}
		n, err := body.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case int64(len(raw)) > limit:
			return nil, tooLargeToCheck(limit)
		case errors.Is(err, io.EOF):
			return &bufferedBody{size: int64(len(raw)), memory: int64(cap(raw)), budget: budget, client: client, reader: bytes.NewReader(raw), bytes: raw}, nil
		case err != nil:
			return nil, bodyError(err)
		}
	}
}

func bodyBudgetUsed(budget *share.Pool) *problem.Error {
	reason := fmt.Sprintf("bodies that are being checked hold %d bytes, the most they may", budget.Limit)
	if budget.Each > 0 {
		reason = fmt.Sprintf("bodies of clients without a key that are being checked hold the most they may: %d bytes in all, %d of one address", budget.Limit, budget.Each)
	}
	return &problem.Error{Code: problem.Overloaded, RetryAfter: time.Second, Detail: "too many requests are being checked at once; send it again", Reason: reason}
}

func tooLargeToCheck(limit int64) *problem.Error {
	return problem.New(problem.BodyTooLarge, fmt.Sprintf("the body is larger than the %d bytes that are read to check it", limit))
}
