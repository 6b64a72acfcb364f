package watch

import (
	"crypto/sha256"
	"os"
	"time"
)

// File is a file whose content is compared with what it was. It is not safe for concurrent use.
type File struct {
	path  string
	stamp stamp
	read  time.Time
	// looked is when the file was last looked at, and rested since when the content is what it is.
	looked, rested time.Time
	// inPlace says that the last change was made to the file itself, not by putting another in its
	// place.
	inPlace bool
	digest  [sha256.Size]byte
	seen    bool // digest is of content that was read
}

// NewFile returns a File that has seen nothing yet.
func NewFile(path string) *File { return &File{path: path} }

// large is the size from which a file is not read at each look if its stamp is as it was.
const large = 1 << 20

// racy is how long after a change another one may carry the same stamp, since file systems count
// time in ticks. A file that changed less long ago is read again.
const racy = 2 * time.Second

// Read returns the file's content and whether it differs from the last content that was read.
// Without a change the content may be nil. After an error the next content counts as changed.
func (f *File) Read() (content []byte, changed bool, err error) { return f.look(false) }

// Content is Read that returns the content, changed or not.
func (f *File) Content() ([]byte, error) {
	content, _, err := f.look(true)
	return content, err
}

func (f *File) look(whole bool) (content []byte, changed bool, err error) {
	last := f.looked
	f.looked = time.Now()
	before, err := os.Stat(f.path)
	if err != nil {
		f.seen = false
		return nil, false, err
	}
	now := stampOf(before)
	if !whole && f.seen && now == f.stamp && before.Size() >= large && f.read.Sub(now.changed()) > racy {
		return nil, false, nil
	}
	at := time.Now()
	content, err = os.ReadFile(f.path)
	if err != nil {
		f.seen = false
		return nil, false, err
	}
	digest := sha256.Sum256(content)
	if changed = !f.seen || digest != f.digest; changed {
		f.inPlace = f.stamp == stamp{} || now.sameFile(f.stamp)
		f.rested = changedAt(now.changed(), last, f.looked)
	}
	f.stamp, f.read, f.digest, f.seen = now, at, digest, true
	return content, changed, nil
}

// Path returns the path of the file.
func (f *File) Path() string { return f.path }

// InPlace reports whether the last change that Read saw was made to the file itself, so that more of
// it may be on its way. A file that was put in the place of another is whole.
func (f *File) InPlace() bool { return f.inPlace }

// Age returns for how long the content that Read last returned is known to have been what it is.
func (f *File) Age() time.Duration { return time.Since(f.rested) }

// changedAt returns when a change happened that was found by the look at now and not by the one at last:
// when the file's stamp says, if that is between the two, and else now. The clock that stamps a file
// may be another machine's, or this one's before it was set, and what it says is then worth nothing.
func changedAt(stamp, last, now time.Time) time.Time {
	if ago := now.Sub(stamp); ago > 0 && ago < now.Sub(last) {
		return now.Add(-ago) // not stamp: what is counted from now on is not moved by setting the clock
	}
	return now
}
