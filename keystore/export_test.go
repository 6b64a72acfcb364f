package keystore

import "time"

// SetTimeout sets how long the file system may take to open one of the files.
func (s *Store) SetTimeout(path string, timeout time.Duration) {
	for _, k := range s.files.list {
		if k.path == path {
			k.Timeout = timeout
		}
	}
	if f := s.files.flowise; f != nil && f.Path() == path {
		f.Timeout = timeout
	}
}
