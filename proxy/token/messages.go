package token

import (
	"sync/atomic"
	"time"
)

// maxCounted is for how many tokens messages are counted. Beyond it, tokens that sent none for longest start again from
// zero.
const maxCounted = 1 << 16

// Messages counts the messages of tokens that may send only a limited number. Its methods may be called concurrently.
type Messages struct {
	counts recent[string, *messageCount] // by the token's ID
}

type messageCount struct {
	sent    atomic.Int64
	expires time.Time
}

// NewMessages returns Messages without any counts.
func NewMessages() *Messages { return &Messages{recent[string, *messageCount]{most: maxCounted}} }

// Take counts a message, and reports whether the token may send it.
func (m *Messages) Take(t *Token) bool {
	return m.counts.of(t.ID, &messageCount{expires: t.Expires}).sent.Add(1) <= t.Messages
}

// Forget forgets the tokens that have expired at now.
func (m *Messages) Forget(now time.Time) {
	m.counts.drop(func(c *messageCount) bool { return !now.Before(c.expires) })
}
