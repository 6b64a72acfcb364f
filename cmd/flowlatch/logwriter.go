package main

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// logBuffer is how many bytes of log lines may wait to be written.
	logBuffer = 1 << 20
	// logInterval is how long a line may wait for others to be written with it: a system call for each line would cost
	// a twentieth of what a request costs.
	logInterval = 10 * time.Millisecond
	// logFlushTimeout is how long Close waits for a reader that does not read.
	logFlushTimeout = time.Second
)

// logWriter writes log lines to a pipe or file that may be slow, stuck or gone. Write never blocks: lines that do not fit
// into the buffer are dropped and counted. All methods may be called concurrently.
//
// zerolog's diode was tried instead. Its waiter misses wake-ups (5 of 60,000 lines stayed unwritten until the next
// one). Its poller takes 0.7 % of a core at rest. It counts dropped lines only once the reader reads again, its Close
// waits forever for a stuck reader, and each line costs 3 µs more.
type logWriter struct {
	to      io.Writer
	notice  func(lines uint64) // logs that lines were dropped, once they can be written again
	dropped atomic.Uint64      // lines

	mu      sync.Mutex
	waiting []byte // guarded by mu

	batch []byte // being written; used by run alone, like told
	told  uint64 // how many dropped lines notice has been told of

	wake    chan struct{} // holds a token if lines wait
	closing chan struct{}
	done    chan struct{} // closed when all is written after closing
}

func newLogWriter(to io.Writer) *logWriter {
	return &logWriter{to: to, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
}

// Write takes a line.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	full := len(w.waiting)+len(line) > logBuffer
	if !full {
		w.waiting = append(w.waiting, line...)
	}
	w.mu.Unlock()
	if full {
		w.dropped.Add(1)
		return len(line), nil
	}
	select {
	case w.wake <- struct{}{}:
	default: // run will wake up anyway
	}
	return len(line), nil
}

// Close writes the lines that wait, and gives up after logFlushTimeout.
func (w *logWriter) Close() {
	close(w.closing)
	select {
	case <-w.done:
	case <-time.After(logFlushTimeout):
	}
}

// run writes lines until Close.
func (w *logWriter) run() {
	defer close(w.done)
	for {
		select {
		case <-w.wake:
			w.flush()
		case <-w.closing:
			w.flush()
			w.flush() // writes the notice that the first flush may have added
			return
		}
		select {
		case <-time.After(logInterval):
		case <-w.closing:
		}
	}
}

// flush writes the lines that wait, and adds a notice if lines were dropped and the reader has caught up.
func (w *logWriter) flush() {
	w.mu.Lock()
	w.batch, w.waiting = w.waiting, w.batch[:0]
	w.mu.Unlock()
	if len(w.batch) == 0 {
		return
	}
	if n, err := w.to.Write(w.batch); err != nil {
		w.dropped.Add(uint64(bytes.Count(w.batch[n:], []byte("\n"))))
		return
	}
	w.mu.Lock()
	caughtUp := len(w.waiting) < logBuffer/2
	w.mu.Unlock()
	if dropped := w.dropped.Load(); caughtUp && dropped > w.told {
		w.notice(dropped - w.told)
		w.told = dropped
	}
}
