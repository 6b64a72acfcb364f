package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestCollectorIsPaced: little in use lets garbage wait for longer than Go would, many keys for less; what sets it are
// the collections themselves.
func TestCollectorIsPaced(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, tt := range []struct {
		live uint64
		many bool
		want int
	}{
		{0, false, 400},
		{1 << 20, false, 400},
		{8 << 20, false, 200},
		{16 << 20, false, 100},
		{512 << 20, false, 100},
		{1 << 20, true, 400},
		{64 << 20, true, 100},
		{128 << 20, true, 50},
		{512 << 20, true, 12},
		{4 << 30, true, 10},
	} {
		if got := percentFor(tt.live, tt.many); got != tt.want {
			t.Errorf("GOGC with %d bytes in use, many keys %t = %d, want %d", tt.live, tt.many, got, tt.want)
		}
	}

	paced := &collector{}
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
