package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// IsDirectory reports whether path is a directory, of key files. It is false if that is not known.
func IsDirectory(path string) bool { return watch.IsDir(path) }

// FileOf returns the path of the key file that lists a key: path itself, or if that is a directory, one of the key files
// in it. A file that cannot be read or has a fault is skipped, so that it does not stop anybody from editing another; the
// error names it if the key is not found.
func FileOf(path, keyID string) (string, error) {
	if !watch.IsDir(path) {
		return path, nil
	}
	var found, ids []string
	unread, err := eachPart(path, func(s *Snapshot) {
		for _, k := range s.Keys() {
			ids = append(ids, k.ID)
		}
		if s.Key(keyID) != nil {
			found = append(found, s.File)
		}
	})
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		guess := strictyaml.DidYouMean(keyID, slices.Compact(slices.Sorted(slices.Values(ids))))
		return "", errors.Join(slices.Insert(unread, 0, fmt.Errorf("%s: no key file in it lists key %s%s", path, strictyaml.Quote(keyID), guess))...)
	}
	return "", fmt.Errorf("%s: key %q is in several files (%s); remove it from all but one", path, keyID, strings.Join(found, ", "))
}

// ChatflowsIn returns the chatflows that the key files in a directory list. A file that cannot be read or has a fault is
// skipped.
func ChatflowsIn(dir string) (chatflows []*Chatflow, err error) {
	_, err = eachPart(dir, func(s *Snapshot) { chatflows = append(chatflows, s.Chatflows()...) })
	return chatflows, err
}

// eachPart parses each key file in a directory by itself and calls do with the result. unread has an error for each file
// that cannot be read or has a fault.
func eachPart(dir string, do func(s *Snapshot)) (unread []error, err error) {
	parts, unread, err := readParts(dir)
	for _, part := range parts {
		s, err := parse(part.path, []source{part}, partOptions)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		do(s)
	}
	return unread, err
}

// CheckPart returns the new faults that the key files of a directory would have if the file at path, which may be a new
// one, had the content next.
func CheckPart(path string, next []byte) error {
	dir := filepath.Dir(path)
	now, _, err := readParts(dir)
	if err != nil {
		return err
	}
	then := slices.DeleteFunc(slices.Clone(now), func(s source) bool { return filepath.Base(s.path) == filepath.Base(path) })
	then = append(then, source{path: filepath.Join(dir, filepath.Base(path)), content: section(next), change: 1})
	slices.SortFunc(then, func(a, b source) int { return strings.Compare(a.path, b.path) })
	_, err = parse(dir, now, parseOptions{directory: true})
	before, _ := errors.AsType[strictyaml.Faults](err)
	_, err = parse(dir, then, parseOptions{directory: true})
	after, ok := errors.AsType[strictyaml.Faults](err)
	if !ok {
		return err
	}
	after = slices.DeleteFunc(after, func(f strictyaml.Fault) bool {
		return slices.ContainsFunc(before, func(b strictyaml.Fault) bool { return b.File == f.File && b.Text == f.Text })
	})
	if len(after) == 0 {
		return nil
	}
	return after
}

// CheckAlone is [CheckPart] without the faults that involve other files, since those may change as well.
func CheckAlone(path string, next []byte) error { return withoutAcross(CheckPart(path, next)) }

// readParts reads the key files of a directory. unread has an error for each one that cannot be read.
func readParts(dir string) (parts []source, unread []error, err error) {
	entries, err := watch.ReadDir(dir, directoryLimits.entries)
	if err != nil {
		return nil, nil, ReadError(dir, err)
	}
	for _, e := range entries {
		if !IsKeyFile(e.Name()) || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			unread = append(unread, ReadError(path, err))
		default:
			parts = append(parts, source{path: path, content: section(data)})
		}
	}
	return parts, unread, nil
}
