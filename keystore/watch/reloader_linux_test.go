package watch_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// TestReloaderHangs has both files of a pair hang. The last good ones stay active, a reload reports that after one
// timeout, and the next good reload applies what they hold.
func TestReloaderHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	write(t, one, "1")
	write(t, two, "1")
	r, reload := numbers(one, two)
	reload(t, true, "success 1 news")
	const timeout = 2 * time.Second
	r.SetTimeout(timeout)
	first, second := testkit.TakeLease(t, one), testkit.TakeLease(t, two)
	began := time.Now()
	for range 3 {
		if re := r.Reload(true); re.Result != watch.Failed || !errors.Is(re.Err, watch.ErrTimeout) || re.New != 1 || r.Value() != 1 {
			t.Errorf("Reload = %+v with the value %d, want the fault %v and the last good value", re, r.Value(), watch.ErrTimeout)
		}
	}
	if took := time.Since(began); took > 2*timeout-timeout/10 {
		t.Errorf("three reloads of two files took %v, want one timeout, %v", took, timeout)
	}
	first.Write(t, "2")
	second.Write(t, "2")
	first.Release(t)
	second.Release(t)
	testkit.Eventually(t, "new content", func() bool { return r.Reload(true).New == 2 })
}
