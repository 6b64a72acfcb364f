package keystore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// FileOf returns the path of the key file that lists a key: path itself, or if that is a directory, one of the key files in
// it. A file that cannot be read or has a fault is passed over, so that nobody is kept from editing another; it is named if
// the key is not found.
func FileOf(path, keyID string) (string, error) {
	if !watch.IsDir(path) {
		return path, nil
	}
	entries, err := watch.ReadDir(path, directoryLimits.entries)
	if err != nil {
		return "", ReadError(path, err)
	}
	var found, ids []string
	var faults []error
	for _, e := range entries {
		if !IsKeyFile(e.Name()) || e.IsDir() {
			continue
		}
		file := filepath.Join(path, e.Name())
		s, err := readPart(file)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, k := range s.Keys() {
			ids = append(ids, k.ID)
		}
		if s.Key(keyID) != nil {
			found = append(found, file)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		shown := strictyaml.Quote(keyID)
		return "", errors.Join(append([]error{fmt.Errorf("%s: no key file in it lists key %s%s", path, shown, strictyaml.DidYouMean(keyID, slices.Compact(slices.Sorted(slices.Values(ids)))))}, faults...)...)
	}
	return "", fmt.Errorf("%s: key %q is in several files (%s); remove it from all but one", path, keyID, strings.Join(found, ", "))
}

func readPart(file string) (*Snapshot, error) {
	data, err := ReadFile(file)
	if err != nil {
		return nil, ReadError(file, err)
	}
	return ParsePart(file, data)
}
