package keystore

import (
	"io/fs"
	"time"
)

// flowiseFile is what was read of Flowise's file of keys.
type flowiseFile struct {
	path string
	data []byte
}

// withoutFlowise puts in force what changed in content, the key file's, while the fault may be in Flowise's:
// with the keys that Flowise had last. Trouble of Flowise must not keep a key from being revoked here.
// With again, it should be called after that time; was is what it held the last time.
func (s *Store) withoutFlowise(content []byte, asked bool, was *held) (again time.Duration) {
	if s.good.data == nil || content == nil {
		return 0
	}
	next, err := s.parse(content, func(path string) ([]byte, error) {
		if path != s.good.path {
			return nil, fs.ErrNotExist
		}
		return s.good.data, nil
	})
	if err != nil {
		return 0 // the key file itself has a fault
	}
	d, cut := compare(s.Snapshot(), next)
	if d.Empty() {
		return 0
	}
	if cut && !asked {
		if again = s.rest(next, was); again > 0 {
			return again
		}
	}
	if s.admit(next) != nil {
		return 0
	}
	s.put(next, &Reload{Time: time.Now(), Diff: d}, func(*Status) {}) // as stale as before
	return 0
}
