// Package share divides limited resources among clients.
package share

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// Pool is an amount of something that clients take a part of and give back. It has a limit for all of them together, and
// one for each client, so that no single one can take everything. It does not remember addresses: each is hashed to one
// of a fixed number of counters. Two addresses with the same counter share a limit. An outsider cannot bring that about,
// because the seed is random. All methods may be called concurrently.
type Pool struct {
	// Limit is how much all clients together may take, and Each how much one client may; 0 means as much as all. They
	// never change.
	Limit, Each int64

	used     atomic.Int64
	seed     maphash.Seed
	byClient []atomic.Int64
}

// NewPool returns a pool from which nothing has been taken yet.
func NewPool(limit, each int64) *Pool {
	p := &Pool{Limit: limit, Each: each, seed: maphash.MakeSeed()}
	if each > 0 {
		p.byClient = make([]atomic.Int64, 1<<12)
	}
	return p
}

// Take takes n, and reports whether that much was left.
func (p *Pool) Take(client netip.Addr, n int64) bool {
	if p.Each > 0 {
		if used := p.of(client); used.Add(n) > p.Each {
			used.Add(-n)
			return false
		}
	}
	if p.used.Add(n) <= p.Limit {
		return true
	}
	p.Give(client, n)
	return false
}

// Give gives back n.
func (p *Pool) Give(client netip.Addr, n int64) {
	p.used.Add(-n)
	if p.Each > 0 {
		p.of(client).Add(-n)
	}
}

func (p *Pool) of(client netip.Addr) *atomic.Int64 {
	return &p.byClient[maphash.Comparable(p.seed, Network(client))%uint64(len(p.byClient))]
}

// Network returns what counts as one client: an IPv4 address, or the /64 of an IPv6 address, in which one customer of a
// provider can choose addresses freely.
func Network(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	p, _ := client.Prefix(64) // an IPv6 address has more than 64 bits
	return p.Addr()
}
