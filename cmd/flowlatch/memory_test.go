package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestCollectorIsPaced: little in use lets garbage wait for longer than Go would, much of it for less.
func TestCollectorIsPaced(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func(c *collector) int {
		c.adjust()
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	var few, many collector
	many.manyKeys.Store(true)
	runtime.GC()
	if got := percent(&few); got <= 100 || got > 400 {
		t.Errorf("GOGC with little in use = %d, want more than 100 and at most 400", got)
	}
	ballast := make([]byte, 512<<20) // not touched, so that it takes no memory but counts
	runtime.GC()
	if got := percent(&few); got != 100 {
		t.Errorf("GOGC with 512 MiB in use = %d, want 100", got)
	}
	if got := percent(&many); got < 10 || got > 13 {
		t.Errorf("GOGC with 512 MiB of keys in use = %d, want 12", got)
	}
	runtime.KeepAlive(ballast)

	paced := &collector{} // by the collections themselves
	paced.pace()
	debug.SetGCPercent(77)
	deadline := time.Now().Add(10 * time.Second)
	for debug.SetGCPercent(77) == 77 {
		if time.Now().After(deadline) {
			t.Fatal("no collection has paced the collector within 10 s")
		}
		runtime.GC()
	}
}
