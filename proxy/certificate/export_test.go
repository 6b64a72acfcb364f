package certificate

import "time"

const MaxFile = maxFile

// Look does what the watch does when a file may have changed.
func (s *Store) Look() (retryIn time.Duration) {
	_, retryIn = s.reload(false)
	return retryIn
}
