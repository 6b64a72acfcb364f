//go:build e2e

// Package differential holds a gate and the router behind it against each other: whatever the gate lets through must
// reach the chatflow it was let through for, and nothing else may get there.
//
// It makes requests from a seed, changes them in ways that callers who want to get past a gate change theirs, sends each to
// the gate and around it, and judges by what the router saw, by the gate's log, and by a table of keys of its own. It uses
// nothing of flowlatch but the program.
package differential

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// World is what requests are made of and judged by: chatflows, and the keys that open them.
type World struct {
	A, B     string // chatflows that have a key each
	Public   string // open to all
	Unlisted string // the key file does not name it
	Secrets  map[string]string
}

// The IDs of the keys, besides those of a and b, which are named as what they open.
const (
	keyA, keyB = "a", "b"
	keyOps     = "ops"     // opens every chatflow
	keyExpired = "expired" // would open A
	keyUnknown = "unknown" // in no file
	noKey      = "none"    // has no secret
)

// NewWorld returns a world of four chatflows, with secrets that nothing else has.
func NewWorld(a, b, public, unlisted string) World {
	w := World{a, b, public, unlisted, map[string]string{}}
	for _, id := range []string{keyA, keyB, keyOps, keyExpired, keyUnknown} {
		sum := sha256.Sum256([]byte("secret of " + id + a))
		w.Secrets[id] = fmt.Sprintf("sec-%.24x", sum)
	}
	return w
}

// KeyFile is the world as flowlatch reads it.
func (w World) KeyFile() string {
	digest := func(id string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(w.Secrets[id]))) }
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n")
	for _, id := range []string{keyA, keyB, keyOps} {
		fmt.Fprintf(&b, "  - {id: %s, sha256: %s}\n", id, digest(id))
	}
	fmt.Fprintf(&b, "  - {id: %s, sha256: %s, not_after: 2020-01-01T00:00:00Z}\n", keyExpired, digest(keyExpired))
	fmt.Fprintf(&b, "chatflows:\n  - {id: %s, keys: [%s, %s]}\n  - {id: %s, keys: [%s]}\n", w.A, keyA, keyExpired, w.B, keyB)
	fmt.Fprintf(&b, "  - {id: %s, public: true}\n  - {id: \"*\", keys: [%s]}\n", w.Public, keyOps)
	return b.String()
}

// Opens says, without a look at the key file, whether a key opens a chatflow.
func (w World) Opens(key, chatflow string) bool {
	switch key {
	case keyA:
		return chatflow == w.A
	case keyB:
		return chatflow == w.B
	case keyOps:
		return w.known(chatflow)
	}
	return false
}

func (w World) known(chatflow string) bool {
	return w.listed(chatflow) || chatflow == w.Unlisted
}

func (w World) listed(chatflow string) bool {
	return slices.Contains([]string{w.A, w.B, w.Public}, chatflow)
}

// label is what the gate's log calls a chatflow.
func (w World) label(chatflow string) string {
	if w.listed(chatflow) {
		return chatflow
	}
	return "*"
}
