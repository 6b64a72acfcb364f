package keystore

import (
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
		if i%3 > 0 { // two thirds collide in their slots
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
