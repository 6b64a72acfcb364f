package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// writes keeps what each Write got.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	return len(p), nil
}

// TestLogLinesTogether checks when lines are written: in their order, none later than it may be.
func TestLogLinesTogether(t *testing.T) {
	type line struct {
		level zerolog.Level
		text  string
		after time.Duration // since the one before
	}
	const ms = time.Millisecond
	long := strings.Repeat("x", mostLines)
	info, warn := zerolog.InfoLevel, zerolog.WarnLevel
	for name, tt := range map[string]struct {
		lines []line
		end   time.Duration // after the last line
		want  []string
	}{
		"after a pause":         {[]line{{info, "a", 0}, {info, "b", 11 * ms}}, 0, []string{"a", "b"}},
		"soon after another":    {[]line{{info, "a", 0}, {info, "b", ms}, {info, "c", ms}}, 10 * ms, []string{"a", "bc"}},
		"not before their time": {[]line{{info, "a", 0}, {info, "b", ms}, {info, "c", ms}}, 8 * ms, []string{"a"}},
		"amiss":                 {[]line{{info, "a", 0}, {info, "b", ms}, {warn, "c", ms}, {warn, "d", ms}}, 0, []string{"a", "bc", "d"}},
		"more than may wait":    {[]line{{info, "a", 0}, {info, "b", 0}, {info, long, 0}, {info, "c", 0}}, 0, []string{"a", "b" + long}},
		"in two batches":        {[]line{{info, "a", 0}, {info, "b", ms}, {info, "c", 9 * ms}, {info, "d", 12 * ms}}, 0, []string{"a", "bc", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w writes
				l := requestLines{&logLines{to: &w}}
				for _, line := range tt.lines {
					time.Sleep(line.after)
					if n, err := l.WriteLevel(line.level, []byte(line.text)); n != len(line.text) || err != nil {
						t.Errorf("WriteLevel(%.9q) = %d, %v", line.text, n, err)
					}
				}
				time.Sleep(tt.end)
				synctest.Wait()
				if diff := cmp.Diff(tt.want, w.all); diff != "" {
					t.Errorf("written (-want +got):\n%s", diff)
				}
				if _, err := l.Write([]byte("!")); err != nil {
					t.Error(err)
				}
				var all strings.Builder
				for _, line := range tt.lines {
					all.WriteString(line.text)
				}
				all.WriteString("!")
				if got := strings.Join(w.all, ""); got != all.String() {
					t.Errorf("after a line of no request %d bytes are written, want %d, in order", len(got), all.Len())
				}
			})
		})
	}
}
