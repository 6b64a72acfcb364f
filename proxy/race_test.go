//go:build race

package proxy

// With the race detector on, sync.Pool drops some of what is put into it.
const raceSlack = 6
