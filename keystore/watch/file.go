package watch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"time"
)

// File is a file whose content is compared with what it was. It is not safe for concurrent use.
type File struct {
	path  string
	stamp stamp
	// opened is when the file was last opened, hashed when digest was taken, unchanged since when it has been right.
	opened, hashed, unchanged time.Time
	// inPlace says that the last change was a write to the file itself, not a rename over it.
	inPlace bool
	digest  [sha256.Size]byte
	seen    bool // digest is that of the content
}

// NewFile returns a File that has seen nothing yet.
func NewFile(path string) *File { return &File{path: path} }

// large is the size from which a file is not copied into memory, and is not read again while its stamp stays
// the same.
const large = 1 << 20

// racy is the time after a change in which another change may get the same stamp, because file systems count time in
// ticks. A file that was read so soon after its last change is read again.
const racy = 2 * time.Second

// ErrChanging is the error for a file that was written to while it was read.
var ErrChanging = errors.New("the file was written to while it was read")

// Content is what Open found in a file.
type Content struct {
	*io.SectionReader
	of    *File
	file  *os.File // nil if the content is in memory
	stamp stamp
}

// Open returns the content of the file and reports whether it differs from that of the last Open. After an
// error the next content counts as changed. The caller must close the content.
func (f *File) Open() (c *Content, changed bool, err error) {
	last := f.opened
	f.opened = time.Now()
	seen := f.seen
	f.seen = false
	file, err := os.Open(f.path)
	if err != nil {
		return nil, false, err
	}
	c, digest, err := f.read(file, seen)
	if err != nil {
		file.Close()
		return nil, false, err
	}
	if changed = !seen || digest != f.digest; changed {
		f.inPlace = f.stamp == stamp{} || c.stamp.sameFile(f.stamp)
		f.unchanged = changedAt(c.stamp.changed(), last, f.opened)
	}
	f.stamp, f.digest, f.seen = c.stamp, digest, true
	return c, changed, nil
}

func (f *File) read(file *os.File, seen bool) (c *Content, digest [sha256.Size]byte, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, digest, err
	}
	c = &Content{of: f, file: file, stamp: stampOf(info)}
	if seen && info.Size() >= large && c.stamp == f.stamp && f.hashed.Sub(c.stamp.changed()) > racy {
		c.SectionReader = io.NewSectionReader(file, 0, info.Size())
		return c, f.digest, nil
	}
	f.hashed = time.Now()
	if info.Size() < large {
		data, err := io.ReadAll(file)
		if err != nil {
			return nil, digest, err
		}
		file.Close()
		c.SectionReader, c.file = io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), nil
		return c, sha256.Sum256(data), nil
	}
	c.SectionReader = io.NewSectionReader(file, 0, info.Size())
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(file, 0, info.Size()))
	return c, [sha256.Size]byte(h.Sum(nil)), err
}

// Close releases the content. The error is [ErrChanging] if the file may not have had this content all the time.
func (c *Content) Close() error {
	file := c.file
	if file == nil {
		return nil
	}
	c.file = nil
	defer file.Close()
	info, err := file.Stat()
	if err == nil && stampOf(info) != c.stamp {
		err = ErrChanging
	}
	c.of.seen = c.of.seen && err == nil
	return err
}

// Path returns the path of the file.
func (f *File) Path() string { return f.path }

// InPlace reports whether the last change that Open saw was a write to the file itself, so that more may
// follow. A file that was renamed over another one is complete.
func (f *File) InPlace() bool { return f.inPlace }

// Age returns how long the content that Open last returned is known not to have changed.
func (f *File) Age() time.Duration { return time.Since(f.unchanged) }

// changedAt returns when a change happened that was found at now and not at last: the time of the file's stamp if it is
// between the two, and else now. The stamp may come from the clock of another machine, or of this one before it was
// set.
func changedAt(stamp, last, now time.Time) time.Time {
	if ago := now.Sub(stamp); ago > 0 && ago < now.Sub(last) {
		return now.Add(-ago) // not stamp: setting the clock must not move it
	}
	return now
}
