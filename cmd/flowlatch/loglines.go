package main

import (
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// lateLine is how late the line of a request may be written that tells of nothing amiss.
	lateLine = 10 * time.Millisecond
	// mostLines is how many bytes may wait to be written.
	mostLines = 32 << 10
)

// logLines writes log lines. Those of requests are written many at once while there are many: a system call for each
// costs as much as a twentieth of a request. What waits when the process is killed is lost; Flush writes it before a
// proper end. All methods may be called concurrently.
type logLines struct {
	to io.Writer

	mu      sync.Mutex // guards what follows
	waiting []byte
	written time.Time // when lines were last written
	timer   *time.Timer
}

// Write writes a line, after those that wait.
func (l *logLines) Write(line []byte) (int, error) { return l.add(line, true) }

// requestLines are the lines of requests. One after a pause is written at once, and so is one that tells of something
// amiss.
type requestLines struct{ *logLines }

// WriteLevel implements zerolog.LevelWriter.
func (l requestLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	return l.add(line, level > zerolog.InfoLevel)
}

func (l *logLines) add(line []byte, urgent bool) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	urgent = urgent || now.Sub(l.written) > lateLine
	if len(l.waiting) == 0 && urgent {
		l.written = now
		return l.to.Write(line)
	}
	l.waiting = append(l.waiting, line...)
	switch {
	case urgent, len(l.waiting) > mostLines:
		return len(line), l.write(now)
	case len(l.waiting) > len(line): // the timer is set
	case l.timer == nil:
		l.timer = time.AfterFunc(lateLine, l.Flush)
	default:
		l.timer.Reset(lateLine)
	}
	return len(line), nil
}

// Flush writes what waits.
func (l *logLines) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 {
		if err := l.write(time.Now()); err != nil && zerolog.ErrorHandler != nil {
			zerolog.ErrorHandler(err)
		}
	}
}

func (l *logLines) write(now time.Time) error {
	_, err := l.to.Write(l.waiting)
	l.waiting, l.written = l.waiting[:0], now
	return err
}
