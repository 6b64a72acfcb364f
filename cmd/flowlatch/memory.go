package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// manyKeys is the number of keys from which memory is tidied up after a reload.
const manyKeys = 5000

// tidyMemory gives back what reading a large key file has used up, each time that reloaded says so,
// until ctx is done.
func tidyMemory(ctx context.Context, store *keystore.Store, reloaded <-chan struct{}, c *collector) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reloaded:
		}
		many := len(store.Snapshot().Keys()) >= manyKeys
		c.manyKeys.Store(many)
		if !many {
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

// How much memory may wait to be collected, in bytes. By default Go lets as much wait as is in use. Of a
// few keys, which use little, it would collect all the time; for a million it would double the process.
const (
	littleGarbage = 16 << 20 // may always wait, but for four times as much as is in use
	muchGarbage   = 64 << 20 // is the most that waits beside a large set of keys
)

// collector keeps Go's garbage collector to that.
type collector struct {
	manyKeys atomic.Bool
	percent  int // GOGC as it was set last
}

// pace has the collector look at the memory in use after each collection, from now on. An operator's GOGC
// stays as it is.
func (c *collector) pace() {
	if os.Getenv("GOGC") != "" {
		return
	}
	type collected struct{ _ [16]byte } // not so small that Go puts it together with others
	var again func(*collected)
	again = func(o *collected) {
		c.adjust()
		runtime.SetFinalizer(o, again)
	}
	runtime.SetFinalizer(new(collected), again)
}

// adjust sets GOGC by the memory in use.
func (c *collector) adjust() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if p := percentFor(sample[0].Value.Uint64(), c.manyKeys.Load()); p < c.percent*4/5 || p > c.percent*5/4 { // each change stops the world for a moment
		debug.SetGCPercent(p)
		c.percent = p
	}
}

// percentFor returns GOGC for so many bytes in use.
func percentFor(live uint64, manyKeys bool) int {
	live = max(live, 1)
	percent := min(400, max(100, littleGarbage*100/live))
	if manyKeys {
		percent = min(percent, max(10, muchGarbage*100/live))
	}
	return int(percent)
}
