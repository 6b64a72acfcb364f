package keystore

import (
	"encoding/binary"
	"math/bits"
)

// index finds secrets by their digests. It is a hash table that makes its hash of the digest itself, which
// is as good as random, and holds pointers alone: a look-up touches one slot and one secret, usually,
// and a million secrets take 16 MiB beside themselves.
type index struct {
	slots []*Secret // a power of two of them, at most three quarters full
	n     int
}

// slot mixes all of the digest, since one that somebody made up may differ from the next in any part of
// it. It has no seed: whoever writes the key file gains nothing by making it slow.
func (x *index) slot(d *Digest) int {
	const k1, k2, k3 = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb // odd, with bits of no order
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(d[8*i:]) }
	high, low := bits.Mul64(word(0)+k1*word(1)^k2, word(2)+k2*word(3)^k3)
	return int((high ^ low) & uint64(len(x.slots)-1)) //nolint:gosec // masked to the length
}

// get returns the secret with digest d, or nil.
func (x *index) get(d Digest) *Secret {
	if len(x.slots) == 0 {
		return nil
	}
	for i := x.slot(&d); ; i = (i + 1) & (len(x.slots) - 1) {
		if s := x.slots[i]; s == nil || s.Digest == d {
			return s
		}
	}
}

// put adds a secret whose digest is not there yet.
func (x *index) put(s *Secret) {
	if 4*(x.n+1) > 3*len(x.slots) {
		old := x.slots
		x.slots = make([]*Secret, max(8, 2*len(old)))
		for _, s := range old {
			if s != nil {
				x.place(s)
			}
		}
	}
	x.n++
	x.place(s)
}

func (x *index) place(s *Secret) {
	i := x.slot(&s.Digest)
	for x.slots[i] != nil {
		i = (i + 1) & (len(x.slots) - 1)
	}
	x.slots[i] = s
}
