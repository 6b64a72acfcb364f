package watch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// File is a file whose content is compared with what it was last time. It is not safe for concurrent use.
type File struct {
	// Timeout is how long opening the file may take: [Timeout], except in tests.
	Timeout time.Duration

	path   string
	limit  int64
	fixed  []byte      // what Open returns if it is not nil
	info   fs.FileInfo // of the content that was last found; nil if there was none yet
	digest [sha256.Size]byte
	known  bool // digest is right: the file was read, and closed, without an error
	// opened is when the file was last opened, hashed when digest was computed, and unchanged since when the file has had
	// this content.
	opened, hashed, unchanged time.Time
	// inPlace says that the last change was a write to the file itself, or a new file where there was none: not a rename over it.
	inPlace bool
}

// NewFile returns a File that has not been read yet. It is an error if the file is larger than limit bytes.
func NewFile(path string, limit int64) *File {
	return &File{path: path, limit: limit, Timeout: Timeout}
}

// Fixed returns a File that always has the same content, which was read already. path is its name in messages.
func Fixed(path string, content []byte) *File { return &File{path: path, fixed: content} }

// large is the size, in bytes, from which a file is not copied into memory, and is not read again while nothing says that
// it has changed.
const large = 1 << 20

// racy is how long after a change another one may get the same times, because file systems count time in ticks. A file
// that was read so soon after its last change is read again.
const racy = 2 * time.Second

// ErrChanging is the error for a file that was written to while it was read.
var ErrChanging = errors.New("the file was written to while it was read")

// Content is what Open found in a file.
type Content struct {
	*io.SectionReader
	of   *File
	info fs.FileInfo
	file *os.File // nil if the content is in memory
	data []byte   // the content, if it is in memory
}

// Open returns the content of the file and reports whether it differs from that of the last Open. After an error the next
// content counts as changed. The caller must close the content. It is an error if the file is not regular, if it is
// larger than the limit, or if the file system does not respond within [Timeout], here or while the content is read.
func (f *File) Open() (c *Content, changed bool, err error) {
	if f.fixed != nil {
		changed = !f.known
		f.digest, f.known = sha256.Sum256(f.fixed), true
		return &Content{SectionReader: io.NewSectionReader(bytes.NewReader(f.fixed), 0, int64(len(f.fixed))), of: f}, changed, nil
	}
	last, known := f.opened, f.known
	f.opened, f.known = time.Now(), false
	c, err = within(f.Timeout, f.path, func() (*Content, error) { return openContent(f.path, f.limit) }, func(c *Content) { c.release() })
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			f.info = nil // a file that is made anew is no rename over the old one, and may have its inode
		}
		return nil, false, err
	}
	c.of = f
	digest, err := f.digestOf(c, known)
	if err != nil {
		c.release()
		return nil, false, err
	}
	if changed = !known || digest != f.digest; changed {
		f.inPlace = f.info == nil || os.SameFile(f.info, c.info)
		f.unchanged = changedAt(changeTime(c.info), last, f.opened)
	}
	f.info, f.digest, f.known = c.info, digest, true
	return c, changed, nil
}

// Read returns the whole content of a small file. The error is that of Open, of reading, or of closing the content.
func (f *File) Read() ([]byte, error) {
	content, _, err := f.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(content)
	return data, errors.Join(err, content.Close())
}

// openContent returns the content of the file at path. A small file is read here, a large one when its content is read.
func openContent(path string, limit int64) (*Content, error) {
	file, info, err := open(path, limit)
	if err != nil {
		return nil, err
	}
	c := &Content{info: info, file: file}
	if info.Size() >= large {
		c.SectionReader = io.NewSectionReader(&parts{path: path, file: file}, 0, info.Size())
		return c, nil
	}
	defer c.release()
	data, err := io.ReadAll(io.LimitReader(file, large+1))
	if err == nil && len(data) > large {
		err = ErrChanging
	}
	c.SectionReader, c.data = io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), data
	return c, err
}

// digestOf returns the digest of a content. A large one is not read for that if f.digest is known, and nothing says that
// the file has changed.
func (f *File) digestOf(c *Content, known bool) (digest [sha256.Size]byte, err error) {
	if c.file != nil && known && isSame(f.info, c.info) && f.hashed.Sub(changeTime(c.info)) > racy && !changeTime(c.info).IsZero() {
		return f.digest, nil
	}
	f.hashed = time.Now()
	if c.file == nil {
		return sha256.Sum256(c.data), nil
	}
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(c, 0, c.Size()))
	return [sha256.Size]byte(h.Sum(nil)), err
}

// isSame reports whether two states of a file show no sign of a change between them.
func isSame(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && changeTime(a).Equal(changeTime(b))
}

// Close releases the content. The error is [ErrChanging] if the file may not have had this content all the time.
func (c *Content) Close() error {
	file := c.file
	if file == nil {
		return nil
	}
	defer c.release()
	info, err := limited(c.of.path, file.Stat, nil)
	if err == nil && !isSame(info, c.info) {
		err = ErrChanging
	}
	c.of.known = c.of.known && err == nil
	return err
}

// release closes the file, if it is open.
func (c *Content) release() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// Digest returns the SHA-256 of the content that Open last returned.
func (f *File) Digest() [sha256.Size]byte { return f.digest }

// Path returns the path of the file.
func (f *File) Path() string { return f.path }

// InPlace reports whether the last change that Open saw was a write to the file itself, so that more may
// follow. A file that was renamed over another one is complete.
func (f *File) InPlace() bool { return f.inPlace }

// Age returns for how long the content that Open last returned is known to be unchanged.
func (f *File) Age() time.Duration { return time.Since(f.unchanged) }

// changedAt returns when a change happened that was found at now but not yet at last. That is the file system's time of
// the change if it lies between the two, else now: the file system may have taken its time from the clock of another
// machine, or from this one's before it was set.
func changedAt(stamp, last, now time.Time) time.Time {
	if ago := now.Sub(stamp); ago > 0 && ago < now.Sub(last) {
		return now.Add(-ago) // not stamp: setting the clock must not move it
	}
	return now
}
