package watch

import "os"

// partSize is how much of a large file is read at once, in bytes.
const partSize = 256 << 10

// parts reads a file part by part, each within [Timeout]. That costs 15 ms for the 116 MiB of a million keys, which take
// seconds to parse. It is not safe for concurrent use.
type parts struct {
	path   string
	file   *os.File
	buffer []byte // belongs to the operation that fills it, while there is one
	part   []byte // of the file, in buffer
	at     int64  // where the part begins
}

// ReadAt implements io.ReaderAt.
func (r *parts) ReadAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		at := off + int64(n)
		if at < r.at || at >= r.at+int64(len(r.part)) {
			if err := r.fill(at); len(r.part) == 0 {
				return n, err
			}
		}
		n += copy(p[n:], r.part[at-r.at:])
	}
	return n, nil
}

// fill reads the part that begins at a place. Without an error it has at least one byte.
func (r *parts) fill(at int64) (err error) {
	r.part = nil
	part, err := limited(r.path, func() ([]byte, error) {
		if r.buffer == nil {
			r.buffer = make([]byte, partSize)
		}
		n, err := r.file.ReadAt(r.buffer, at)
		return r.buffer[:n], err
	}, nil)
	r.part, r.at = part, at
	return err
}
