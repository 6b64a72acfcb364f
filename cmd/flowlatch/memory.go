package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// manyKeys is the number of keys from which memory is tidied up after a reload.
const manyKeys = 5000

// tidyMemory gives back what reading a large key file has used up, each time that reloaded says so,
// until ctx is done.
func tidyMemory(ctx context.Context, store *keystore.Store, reloaded <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reloaded:
		}
		if len(store.Snapshot().Keys()) < manyKeys {
			continue
		}
		debug.FreeOSMemory()
		// Once more: what the reload had in its hands may have counted as in use the first time.
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		debug.FreeOSMemory()
	}
}

// garbage is how much memory may wait to be collected, in bytes. By default Go lets as much wait as is in
// use: of a few keys, which use little, it collects all the time; for a million keys or thousands of open
// streams it would double the process.
const garbage = 16 << 20

// The bounds of GOGC: what garbage comes to for little memory in use, and for much.
const (
	mostGOGC  = 400
	leastGOGC = 20
)

// paceEvery is how often the memory in use is looked at.
const paceEvery = 5 * time.Second

// paceCollector keeps the garbage collector to that, until ctx is done. An operator's GOGC stays as it is.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	set := 0
	for {
		metrics.Read(sample)
		percent := mostGOGC
		if live := sample[0].Value.Uint64(); live > 0 {
			percent = int(min(mostGOGC, max(leastGOGC, garbage*100/live)))
		}
		if percent < set*4/5 || percent > set*5/4 { // each change stops the world for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
