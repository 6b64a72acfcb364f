package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reader stands for the reader of a log. It keeps the text of each Write, once gate lets that through.
type reader struct {
	gate chan struct{} // if not nil, each Write waits to receive from it, or for it to be closed
	err  error         // what each Write returns

	mu     sync.Mutex
	writes []string
}

func (r *reader) Write(p []byte) (int, error) {
	if r.gate != nil {
		<-r.gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	if len(p) > 0 {
		r.writes = append(r.writes, string(p))
	}
	return len(p), nil
}

// startLogWriter starts a writer whose notices are lines "dropped N".
func startLogWriter(r *reader) *logWriter {
	w := newLogWriter(r)
	w.notice = func(lines uint64) { fmt.Fprintf(w, "dropped %d\n", lines) }
	go w.run()
	return w
}

// TestLogWriterTogether checks when lines are written: in their order, the first at once, none later than logInterval.
func TestLogWriterTogether(t *testing.T) {
	const ms = time.Millisecond
	type line struct {
		text  string
		after time.Duration // since the previous line
	}
	for name, tt := range map[string]struct {
		lines []line
		end   time.Duration // after the last line
		want  []string
	}{
		"after a pause":        {[]line{{"a", 0}, {"b", 11 * ms}}, 0, []string{"a", "b"}},
		"soon after another":   {[]line{{"a", 0}, {"b", ms}, {"c", ms}}, 10 * ms, []string{"a", "bc"}},
		"not before the time":  {[]line{{"a", 0}, {"b", ms}, {"c", ms}}, 7 * ms, []string{"a"}},
		"in two batches":       {[]line{{"a", 0}, {"b", ms}, {"c", 8 * ms}, {"d", 12 * ms}}, 0, []string{"a", "bc", "d"}},
		"what waits at Close ": {[]line{{"a", 0}, {"b", ms}, {"c", ms}}, 0, []string{"a", "bc"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &reader{}
				w := startLogWriter(r)
				for _, line := range tt.lines {
					time.Sleep(line.after)
					synctest.Wait()
					if n, err := w.Write([]byte(line.text)); n != len(line.text) || err != nil {
						t.Errorf("Write(%q) = %d, %v", line.text, n, err)
					}
					synctest.Wait()
				}
				if strings.HasPrefix(name, "what waits") {
					w.Close()
				} else {
					time.Sleep(tt.end)
					synctest.Wait()
					defer w.Close()
				}
				if diff := cmp.Diff(tt.want, r.writes); diff != "" {
					t.Errorf("written (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLogWriterStuck has a reader that stops. Nobody waits for it, lines that do not fit are counted, and one notice
// says how many there were when the reader goes on.
func TestLogWriterStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gate: make(chan struct{})}
		w := startLogWriter(r)
		line := []byte(strings.Repeat("x", 1023) + "\n")
		const fit, more = logBuffer / 1024, 500
		w.Write(line) // stuck in the reader
		synctest.Wait()
		for range fit + more {
			w.Write(line)
		}
		if got := w.dropped.Load(); got != more {
			t.Errorf("dropped = %d lines, want %d", got, more)
		}
		close(r.gate)
		time.Sleep(time.Second)
		w.Write([]byte("after\n"))
		w.Close()
		all := strings.Join(r.writes, "")
		if got := strings.Count(all, "x\n"); got != 1+fit {
			t.Errorf("lines written = %d, want %d", got, 1+fit)
		}
		if want := fmt.Sprintf("x\ndropped %d\nafter\n", more); !strings.HasSuffix(all, want) || strings.Count(all, "dropped") != 1 {
			t.Errorf("the log ends %q, want %q, and no other notice", all[len(all)-60:], want)
		}
	})
}

// TestLogWriterFails has a reader that is gone for a while.
func TestLogWriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{err: errors.New("broken pipe")}
		w := startLogWriter(r)
		for range 3 {
			w.Write([]byte("lost\n"))
			w.Write([]byte("lost, too\n"))
			time.Sleep(time.Second)
		}
		r.mu.Lock()
		r.err = nil
		r.mu.Unlock()
		w.Write([]byte("written\n"))
		w.Close()
		if diff := cmp.Diff([]string{"written\n", "dropped 6\n"}, r.writes); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// TestLogWriterCloses checks that Close does not wait forever for a reader that does not read.
func TestLogWriterCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gate: make(chan struct{})}
		w := startLogWriter(r)
		w.Write([]byte("a\n"))
		start := time.Now()
		w.Close()
		if got := time.Since(start); got != logFlushTimeout {
			t.Errorf("Close took %s, want %s", got, logFlushTimeout)
		}
		close(r.gate)
	})
}
