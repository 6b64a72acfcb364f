//go:build e2e

// Package differential compares what the gate authorised with what the router behind it did: a request must run the
// chatflow it was authorised for, and no other.
//
// It generates requests from a seed and changes them as an attacker would. It sends each to the gate, and around the gate to
// the router, and judges by what the router received, by the gate's log, and by a table of keys of its own. It uses the
// program flowlatch, and no package of it but testkit.
package differential

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// World is the chatflows, and the keys that open them, by which requests are generated and judged.
type World struct {
	A, B     string // chatflows that have a key each
	Public   string // open to all
	Unlisted string // the key file does not name it
	Secrets  map[string]string
	Prefix   string // that the gate wants before every path
}

// The IDs of the keys. keyA opens World.A, keyB opens World.B.
const (
	keyA, keyB = "a", "b"
	keyOps     = "ops"     // opens every chatflow
	keyExpired = "expired" // would open A
	keyUnknown = "unknown" // in no file
	noKey      = "none"    // of a request without a key
)

// NewWorld returns a world of four chatflows, with secrets that appear nowhere else.
func NewWorld(a, b, public, unlisted string) World {
	w := World{A: a, B: b, Public: public, Unlisted: unlisted, Secrets: map[string]string{}}
	for _, id := range []string{keyA, keyB, keyOps, keyExpired, keyUnknown} {
		sum := sha256.Sum256([]byte("secret of " + id + a))
		w.Secrets[id] = fmt.Sprintf("sec-%.24x", sum)
	}
	return w
}

// KeyFile returns the key file of the world.
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

// Opens reports whether a key opens a chatflow, without looking at the key file.
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

// label is the chatflow's name in the gate's log.
func (w World) label(chatflow string) string {
	if w.listed(chatflow) {
		return chatflow
	}
	return "*"
}
