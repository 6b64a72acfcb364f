package keystore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestTeamsAtOnce has teams replace their files all the time, one of them with faulty files, while others read and
// reload. At the end each team's last file applies, and no reader ever sees a key of one team that opens nothing.
func TestTeamsAtOnce(t *testing.T) {
	t.Parallel()
	const teams, edits = 4, 12
	dir := filepath.Dir(testkit.WriteFile(t, "team-0.yaml", keyFileFor("x0", "k0-0")))
	for i := 1; i < teams; i++ {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("team-%d.yaml", i)), keyFileFor(fmt.Sprint("x", i), fmt.Sprintf("k%d-0", i)))
	}
	s, err := keystore.Open(dir, keystore.Options{Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		for ctx.Err() == nil {
			snapshot := s.Snapshot()
			if n := len(snapshot.Keys()); n != teams {
				t.Errorf("%d keys, want one of each team", n)
				return
			}
			for i, k := range snapshot.Keys() {
				m := snapshot.Match(keystore.DigestOf(secret(k.ID)), time.Now())
				if m.Key != k || !snapshot.Opens(k, fmt.Sprint("x", i)) {
					t.Errorf("key %s of team %d does not open its chatflow", k.ID, i)
					return
				}
			}
			s.Status()
		}
	})
	for i := range teams {
		writers.Go(func() {
			path := filepath.Join(dir, fmt.Sprintf("team-%d.yaml", i))
			for n := range edits {
				content := keyFileFor(fmt.Sprint("x", i), fmt.Sprintf("k%d-%d", i, n+1))
				if i == 0 && n%2 == 0 {
					content = "version: 2\n"
				}
				replaceFile(t, path, content)
				s.Reload()
			}
		})
	}
	writers.Wait()
	testkit.Eventually(t, "the last file of each team", func() bool {
		return snapshotIDs(s.Snapshot()) == fmt.Sprintf("k0-%[1]d k1-%[1]d k2-%[1]d k3-%[1]d", edits) && !s.Status().Stale
	})
	stop()
	readers.Wait()
}
