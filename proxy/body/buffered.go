package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/connection"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/share"
)

// How many bodies of the largest size fit into the budget.
const (
	maxKeyed     = 64 // of clients with a valid key
	maxAnonymous = 16 // of others
	maxAddress   = 2  // of these, of one client address
)

// Budget limits the memory for bodies that are held. Clients without a valid key have memory of their own, so they cannot
// use up that of clients with one, and each of their addresses has a share of it. All methods may be called concurrently.
type Budget struct {
	maxChecked       int64
	keyed, anonymous *share.Pool // bytes
}

// NewBudget returns the budget of a gate that reads bodies of at most maxChecked bytes to look for denied members.
func NewBudget(maxChecked int64) *Budget {
	largest := max(maxChecked, maxIDSize)
	return &Budget{maxChecked, share.NewPool(maxKeyed*largest, 0), share.NewPool(maxAnonymous*largest, maxAddress*largest)}
}

// Client is who sent a body.
type Client struct {
	Addr   netip.Addr
	HasKey bool // a valid one
}

// Limits are the limits for a body that is read as a whole.
type Limits struct {
	Size int64         // in bytes
	Time time.Duration // in which the whole body must arrive
}

// Buffered is a body that was read as a whole before it is sent upstream. Closing it releases its memory. The transport
// closes it as soon as it has sent it, while the response may take long after that. Read and Close may be called
// concurrently, as transports do. A nil *Buffered is no body.
type Buffered struct {
	pool   *share.Pool // from which its memory was taken
	client netip.Addr  // whose share was taken

	mu      sync.Mutex // guards the fields below
	content []byte     // nil once closed; all of its capacity was taken from pool
	reader  bytes.Reader
}

// Content returns the body, which must not be changed. It returns nil once the body is closed.
func (b *Buffered) Content() []byte {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content
}

// Read reads from the body.
func (b *Buffered) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.content == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(p)
}

// Close releases the memory, and returns nil. It may be called more than once.
func (b *Buffered) Close() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pool.Give(b.client, int64(cap(b.content)))
	b.content = nil
	b.reader.Reset(nil)
	return nil
}

// Buffer reads the body as a whole, or returns why it is refused. Memory is taken from the budget as bytes arrive, so a
// client that only announces a body holds none. The caller must close the result.
func (b *Reader) Buffer(from *Budget, client Client, l Limits) (_ *Buffered, refusal *problem.Error) {
	if b.request.ContentLength > l.Size {
		return nil, tooLargeToCheck(l.Size)
	}
	pool := from.anonymous
	if client.HasKey {
		pool = from.keyed
		conn := connection.Of(b.request.Context())
		conn.Hold()
		defer conn.Release(false)
	}
	b.until = time.Now().Add(l.Time)
	var raw []byte
	defer func() {
		if refusal != nil {
			pool.Give(client.Addr, int64(cap(raw)))
		}
	}()
	for {
		if len(raw) == cap(raw) {
			size := min(int64(max(2*cap(raw), 512)), l.Size+1)
			if !pool.Take(client.Addr, size-int64(cap(raw))) {
				return nil, poolUsed(pool)
			}
			raw = append(make([]byte, 0, size), raw...)
		}
		n, err := b.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case int64(len(raw)) > l.Size:
			return nil, tooLargeToCheck(l.Size)
		case errors.Is(err, io.EOF):
			buffered := &Buffered{pool: pool, client: client.Addr, content: raw}
			buffered.reader.Reset(raw)
			return buffered, nil
		case err != nil:
			return nil, Refusal(err)
		}
	}
}

// poolUsed returns the refusal of a body whose client has no memory left.
func poolUsed(p *share.Pool) *problem.Error {
	reason := fmt.Sprintf("bodies that are being checked hold %d bytes, the most they may", p.Limit)
	if p.Each > 0 {
		reason = fmt.Sprintf("bodies of clients without a key that are being checked hold the most they may: %d bytes in all, %d of one address", p.Limit, p.Each)
	}
	return &problem.Error{Code: problem.Overloaded, RetryAfter: time.Second, Detail: "too many requests are being checked at once; send it again", Reason: reason}
}

// tooLargeToCheck returns the refusal of a body that is larger than what is read to check it.
func tooLargeToCheck(limit int64) *problem.Error {
	return problem.New(problem.BodyTooLarge, fmt.Sprintf("the body is larger than the %d bytes that are read to check it", limit))
}
