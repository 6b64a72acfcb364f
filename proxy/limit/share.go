package limit

import "time"

// Share is the part of all limits that one of several gates has. The zero value is the whole.
type Share struct {
	// Index is the number of this gate among Count gates, from 0.
	Index, Count int
}

// of returns the share of n. The shares of all gates add up to n.
func (s Share) of(n int64) int64 {
	if s.Count <= 1 {
		return n
	}
	share := n / int64(s.Count)
	if int64(s.Index) < n%int64(s.Count) {
		share++
	}
	return share
}

// rule says which part of all limits applies at this gate.
type rule struct {
	rates  Share // of rates and of requests at once
	quotas Share
	rest   Share // of what was left of quotas when Redis last reported what other gates had used
	// others is how long the last report of what other gates had open counts.
	others time.Duration
}
