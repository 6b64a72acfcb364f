package keystore

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestIndex holds the index against a map, with digests that begin alike as well.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same digests at every run
	var x index
	want := map[Digest]*Secret{}
	if x.get(Digest{}) != nil {
		t.Error("an empty index has a secret")
	}
	for i := range 5000 {
		var d Digest
		if i%3 > 0 { // two thirds
			binary.LittleEndian.PutUint64(d[:], uint64(r.IntN(4)))
		} else {
			binary.LittleEndian.PutUint64(d[:], r.Uint64())
		}
		binary.LittleEndian.PutUint64(d[8:], r.Uint64())
		if got := x.get(d); got != want[d] {
			t.Fatalf("get(%v) = %p, want %p", d, got, want[d])
		}
		s := &Secret{Digest: d}
		x.put(s)
		want[d] = s
	}
	for d, s := range want {
		if got := x.get(d); got != s {
			t.Fatalf("get(%v) = %p, want %p", d, got, s)
		}
	}
}

// TestIndexOfOrderedDigests has digests that are not random, as in a file that somebody numbered by hand.
// A look-up must not have to go through many of them.
func TestIndexOfOrderedDigests(t *testing.T) {
	number := func(i, at int) (d Digest) {
		binary.BigEndian.PutUint16(d[at:], uint16(i)) //nolint:gosec // few enough
		return d
	}
	for name, digest := range map[string]func(i int) Digest{
		"numbered at the end":     func(i int) Digest { return number(i, len(Digest{})-2) },
		"numbered at the front":   func(i int) Digest { return number(i, 0) },
		"numbered in the middle":  func(i int) Digest { return number(i, 14) },
		"numbers, over and over":  func(i int) Digest { return Digest(bytes.Repeat([]byte{byte(i >> 8), byte(i)}, 16)) },
		"numbers, each at a word": func(i int) Digest { return number(i/4, 8*(i%4)+6) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 10_000
			var x index
			for i := range n {
				if d := digest(i + 1); x.get(d) == nil {
					x.put(&Secret{Digest: d})
				}
			}
			longest, run := 0, 0
			for _, s := range x.slots {
				if run++; s == nil {
					run = 0
				}
				longest = max(longest, run)
			}
			if x.n < n/2 || longest > n/20 {
				t.Errorf("of %d digests %d stand in one row", x.n, longest)
			}
		})
	}
}
