package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// manyKeys is the number of keys from which memory is tidied up after a reload.
const manyKeys = 5000

// garbage is how much memory may be waiting to be collected beside a large set of keys, in bytes. By
// default Go lets as much wait as is in use, which for a million keys would double the process.
const garbage = 64 << 20

// tidyMemory gives back what reading a large key file has used up, each time that reloaded says so,
// until ctx is done. An operator's GOGC stays as it is.
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
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if os.Getenv("GOGC") != "" {
			continue
		}
		percent := int(garbage * 100 / max(m.HeapAlloc, 1))
		debug.SetGCPercent(min(100, max(10, percent)))
	}
}
