package token

import "sync/atomic"

// maxCounted is of how many tokens messages are counted. If there are more, those that sent none for longest begin anew.
const maxCounted = 1 << 16

// Messages counts the messages that were sent with tokens which may send only so many. Its methods may be called
// concurrently.
type Messages struct {
	sent recent[string, *atomic.Int64] // by the token's ID
}

// NewMessages returns Messages that have counted none.
func NewMessages() *Messages { return &Messages{recent[string, *atomic.Int64]{most: maxCounted}} }

// Take counts a message, and reports whether the token may send it.
func (m *Messages) Take(t *Token) bool { return m.sent.of(t.ID, &atomic.Int64{}).Add(1) <= t.Messages }
