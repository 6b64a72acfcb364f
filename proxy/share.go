package proxy

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// share is an amount of something that clients take a part of and give back. It has a limit for all of them together,
// and one for each client address, so that no single client can take it all. Like Failures, it does not remember
// addresses: two with the same counter share a limit, which an outsider cannot arrange. All methods may be called
// concurrently.
type share struct {
	limit int64 // of all clients together
	each  int64 // of a client address; 0 for none but the limit of all

	used      atomic.Int64
	seed      maphash.Seed
	byAddress []atomic.Int64
}

func newShare(limit, each int64) *share {
	s := &share{limit: limit, each: each, seed: maphash.MakeSeed()}
	if each > 0 {
		s.byAddress = make([]atomic.Int64, 1<<12)
	}
	return s
}

// take takes n, and reports whether there was as much.
func (s *share) take(client netip.Addr, n int64) bool {
	if s.each > 0 {
		if used := s.of(client); used.Add(n) > s.each {
			used.Add(-n)
			return false
		}
	}
	if s.used.Add(n) <= s.limit {
		return true
	}
	s.give(client, n)
	return false
}

// give gives back what was taken.
func (s *share) give(client netip.Addr, n int64) {
	s.used.Add(-n)
	if s.each > 0 {
		s.of(client).Add(-n)
	}
}

func (s *share) of(client netip.Addr) *atomic.Int64 {
	return &s.byAddress[maphash.Comparable(s.seed, network(client))%uint64(len(s.byAddress))]
}
