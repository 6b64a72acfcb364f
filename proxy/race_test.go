//go:build race

package proxy

// With the race detector on, sync.Pool drops some of what it is given.
const raceSlack = 6
