//go:build unix

package keystore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOneReadOfALook has the key file truncated and half written while a reload waits for Flowise's. What
// the reload applies must be what it found, not what the file has become meanwhile.
func TestOneReadOfALook(t *testing.T) {
	inBubble(t, keysFile("a", "b"), dashboardKeys, func(f *bubble) {
		api := filepath.Join(f.dir, "api.json")
		if err := errors.Join(syscall.Mkfifo(api+".next", 0o600), os.Rename(api+".next", api)); err != nil {
			f.Fatal(err)
		}
		looked := make(chan struct{})
		go func() { defer close(looked); f.reload(false) }()
		pipe, err := os.OpenFile(api, os.O_WRONLY, 0) // returns when the look is reading
		if err != nil {
			f.Fatal(err)
		}
		f.put("keys.yaml", keysFile("a"))
		pipe.WriteString("[")
		pipe.Close()
		<-looked
		if f.Snapshot().Key("b") == nil || !f.Status().Stale {
			f.Errorf("key b there: %t, stale: %t, want the key and the fault of Flowise's file", f.Snapshot().Key("b") != nil, f.Status().Stale)
		}
	})
}
