package watch

import "time"

// SetTimeout sets how long the file system may take to open a file.
func (r *Reloader[T]) SetTimeout(timeout time.Duration) {
	for _, f := range r.files {
		f.Timeout = timeout
	}
}
