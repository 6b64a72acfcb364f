package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// inBubble runs the loop of Run without a kernel, and returns the time of each check since the start. Meanwhile, at is
// called.
func inBubble(t *testing.T, poll, length time.Duration, check func(n int, stop func()) time.Duration, at func(hints chan<- struct{})) (times []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		e := events{hints: make(chan struct{}, 1), follow: func([]string) {}}
		began := time.Now()
		go at(e.hints)
		e.run(ctx, poll, func() []string { return []string{"f"} }, func() time.Duration {
			times = append(times, time.Since(began))
			return check(len(times), cancel)
		})
		synctest.Wait()
	})
	return times
}

func TestTimes(t *testing.T) {
	const ms = time.Millisecond
	nothing := func(int, func()) time.Duration { return 0 }
	silence := func(chan<- struct{}) {}
	hint := func(hints chan<- struct{}) {
		select {
		case hints <- struct{}{}:
		default:
		}
	}
	for _, test := range []struct {
		name         string
		poll, length time.Duration
		check        func(n int, stop func()) time.Duration
		at           func(hints chan<- struct{})
		want         []time.Duration
	}{
		{"the poll that is documented", 0, 5 * time.Second, nothing, silence, []time.Duration{2 * time.Second, 4 * time.Second}},
		{"another poll", 70 * ms, 200 * ms, nothing, silence, []time.Duration{70 * ms, 140 * ms}},
		{"an event", time.Hour, time.Second, nothing, func(hints chan<- struct{}) {
			time.Sleep(100 * ms)
			hint(hints)
		}, []time.Duration{150 * ms}},
		{"events together", time.Hour, time.Second, nothing, func(hints chan<- struct{}) {
			for range 5 {
				hint(hints)
				time.Sleep(9 * ms)
			}
		}, []time.Duration{50 * ms}},
		{"events without end", time.Hour, 300 * ms, nothing, func(hints chan<- struct{}) {
			for range 30 {
				hint(hints)
				time.Sleep(9 * ms)
			}
		}, []time.Duration{50 * ms, 104 * ms, 158 * ms, 212 * ms, 266 * ms}},
		{"a retry, once for each time it is asked for", time.Hour, time.Minute, func(n int, _ func()) time.Duration {
			return []time.Duration{50 * ms, 70 * ms, 0}[n-1]
		}, hint, []time.Duration{50 * ms, 100 * ms, 170 * ms}},
		{"the end, with the poll and a retry due", 10 * ms, time.Second, func(_ int, stop func()) time.Duration {
			stop()
			time.Sleep(50 * ms)
			return 1
		}, silence, []time.Duration{10 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 20 { // the order of events that are due at the same time is random
				if got := inBubble(t, test.poll, test.length, test.check, test.at); !slices.Equal(got, test.want) {
					t.Errorf("checks after %v, want after %v", got, test.want)
				}
			}
		})
	}
}

// A check reads the file. If reading made an event, checks would never end.
func TestReadingMakesNoEvent(t *testing.T) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "0")
	watchDirs(w, []string{path})
	f := NewFile(path, 1<<30)
	for range 3 {
		read(t, f, "0", f.hashed.IsZero())
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
	put(t, path+"-next", "0")
	if e := <-w.Events; e.Name != path+"-next" { // events come in the order of their causes
		t.Errorf("reading the file made the event %v", e)
	}
}
