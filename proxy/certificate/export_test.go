package certificate

import "time"

const (
	SettleTime = settleTime
	MaxFile    = maxFile
)

// Look does what the watch does when a file may have changed.
func (s *Store) Look() (retryIn time.Duration) {
	_, retryIn = s.reload(false)
	return retryIn
}

// Readings returns how often the files were read.
func (s *Store) Readings() int64 { return s.readings.Load() }

// Read reads the files. What it returns applies them, unless a later reading was applied.
func (s *Store) Read() (apply func() bool) {
	r := s.read()
	return func() bool {
		_, _, ok := s.apply(r, true)
		return ok
	}
}
