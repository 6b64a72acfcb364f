package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/flowlatch/flowlatch/proxy/body"
)

// created remembers which chatflow the things belong to that the upstream has created and that later requests name by ID
// alone, such as Flowise's feedback. The gate sees them being created. It keeps only the newest, in memory. A gate that
// was restarted, or another gate beside it, does not know them, but that lets nobody in.
type created struct {
	mu            sync.Mutex        // guards the maps
	recent, older map[string]string // ID → chatflow
}

// Bounds of created.
const (
	maxCreated     = 2048    // in each of its maps
	maxCreatedID   = 64      // bytes of an ID
	maxCreatedBody = 8 << 10 // bytes of a response that is parsed
)

// chatflow returns the chatflow that the thing with this ID belongs to, and whether that is known.
func (c *created) chatflow(id string) (chatflow string, known bool) {
	if id == "" {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if chatflow, known = c.recent[id]; !known {
		chatflow, known = c.older[id]
	}
	return chatflow, known
}

// note remembers a thing. Once there are many, the oldest are forgotten.
func (c *created) note(id, chatflow string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil || len(c.recent) >= maxCreated {
		c.recent, c.older = map[string]string{}, c.recent
	}
	c.recent[id] = chatflow
}

// noteCreated makes the body of a response be searched for the ID of what the upstream created, if the route creates
// something.
func (f *forwarding) noteCreated(res *http.Response) {
	if f.Route.Creates == "" || res.StatusCode >= http.StatusMultipleChoices || res.Header.Get("Content-Encoding") != "" {
		return
	}
	res.Body = &createdBody{ReadCloser: res.Body, length: res.ContentLength, forwarding: f}
}

// createdBody is the body of a response that says what the upstream created. It is passed on while a copy is kept. The
// copy is parsed before the end of the body is passed on, or the client's next request could come first.
type createdBody struct {
	io.ReadCloser
	length     int64       // negative if unknown
	forwarding *forwarding // nil once the body has been parsed, or is too large
	seen       []byte
}

// Read reads from the upstream.
func (b *createdBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.forwarding == nil {
		return n, err
	}
	b.seen = append(b.seen, p[:n]...)
	switch whole := errors.Is(err, io.EOF) || int64(len(b.seen)) == b.length; {
	case len(b.seen) > maxCreatedBody:
		b.forwarding, b.seen = nil, nil
	case whole:
		b.forwarding.understandCreated(b.seen)
		b.forwarding, b.seen = nil, nil
	}
	return n, err
}

// understandCreated notes what a JSON object says was created, if it belongs to the chatflow that the request was
// authorized for.
func (f *forwarding) understandCreated(raw []byte) {
	id, _ := body.Text(raw, f.Route.Creates)
	chatflow, _ := body.Text(raw, f.Route.Body)
	if id != "" && len(id) <= maxCreatedID && chatflow == f.question.Chatflow {
		f.proxy.created.note(id, chatflow)
	}
}
