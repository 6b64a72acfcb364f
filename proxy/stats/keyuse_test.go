package stats

import (
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestUseNeverGoesBack notes uses out of order, of several secrets at once.
func TestUseNeverGoesBack(t *testing.T) {
	t.Parallel()
	var u keyUse
	now := time.Unix(1_800_000_000, 0)
	secrets := []*keystore.Secret{{Digest: keystore.DigestOf("a")}, {Digest: keystore.DigestOf("b")}, {Digest: keystore.DigestOf("c")}}
	var all sync.WaitGroup
	for _, s := range secrets {
		all.Go(func() {
			for i := range 1000 {
				u.note(s, now.Add(-time.Duration(i)*time.Second))
			}
		})
	}
	all.Wait()
	use := u.read()
	if !use.LastUsed.Equal(now) || len(use.secrets) != len(secrets) {
		t.Errorf("LastUsed = %v of %d secrets, want %v of %d", use.LastUsed, len(use.secrets), now, len(secrets))
	}
	for _, s := range secrets {
		if got := use.SecretLastUsed(s.Digest); !got.Equal(now) {
			t.Errorf("SecretLastUsed = %v, want %v", got, now)
		}
	}
}
