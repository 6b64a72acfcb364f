package keystore

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestOneReadOfALook has the key file truncated and half written while a reload waits for Flowise's. The reload must
// apply the content that it found, not what the file holds by then.
func TestOneReadOfALook(t *testing.T) {
	inBubble(t, keysFile("a", "b"), dashboardKeys, func(f *bubble) {
		f.rename("api.json", dashboardKeys+"\n")
		api := testkit.TakeLease(f.T, filepath.Join(f.dir, "api.json"))
		looked := make(chan struct{})
		go func() { defer close(looked); f.reload(false) }()
		for !api.Waiting() {
			select {
			case <-looked:
				f.Fatal("the look ended without Flowise's file")
			default:
				runtime.Gosched()
			}
		}
		f.put("keys.yaml", keysFile("a"))
		api.Write(f.T, "[")
		api.Release(f.T)
		<-looked
		if f.Snapshot().Key("b") == nil || !f.Status().Stale {
			f.Errorf("key b there: %t, stale: %t, want the key and the fault of Flowise's file", f.Snapshot().Key("b") != nil, f.Status().Stale)
		}
	})
}
