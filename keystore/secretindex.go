package keystore

import "encoding/binary"

// secretIndex finds a secret by its digest. A map from digests would hold each of them a second time, which is
// 50 MiB more for a million keys, so the first eight bytes have to do.
type secretIndex struct {
	first map[uint64]*Secret // by the first eight bytes of the digest
	other map[Digest]*Secret // those with the first eight bytes of another one: none, unless somebody made digests up
}

// newSecretIndex returns an index with room for n secrets.
func newSecretIndex(n int) secretIndex {
	return secretIndex{make(map[uint64]*Secret, n), map[Digest]*Secret{}}
}

// get returns the secret with digest d, or nil.
func (x secretIndex) get(d Digest) *Secret {
	if s := x.first[binary.LittleEndian.Uint64(d[:])]; s == nil || s.Digest == d {
		return s
	}
	return x.other[d]
}

// add adds a secret whose digest is not there yet.
func (x secretIndex) add(s *Secret) {
	first := binary.LittleEndian.Uint64(s.Digest[:])
	if x.first[first] == nil {
		x.first[first] = s
	} else {
		x.other[s.Digest] = s
	}
}
