package main

import (
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// lateLine is how late a line may be written that tells of nothing amiss.
	lateLine = 10 * time.Millisecond
	// mostLines is how many bytes may wait to be written.
	mostLines = 32 << 10
)

// logLines writes log lines, many of them at once while there are many: a system call for each line costs as much as
// a twentieth of a request. A line after a pause is written at once, and so is one that tells of something amiss,
// after those that wait. What waits when the process is killed is lost; Flush writes it before a proper end.
type logLines struct {
	to io.Writer

	mu      sync.Mutex // guards what follows
	waiting []byte
	written time.Time // when lines were last written
	timer   *time.Timer
}

// Write writes a line whose level is not known.
func (l *logLines) Write(line []byte) (int, error) { return l.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter. Like all methods it may be called concurrently.
func (l *logLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	urgent := level > zerolog.InfoLevel || now.Sub(l.written) > lateLine
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
