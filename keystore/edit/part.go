package edit

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Parse returns what the key file data means; nil stands for a file that does not exist, which is an error. The file may
// be one of a directory, so the keys that its chatflows list may be in other files, and so may all chatflows.
func Parse(file string, data []byte) (*keystore.Snapshot, error) {
	if data == nil {
		return nil, keystore.ReadError(file, fs.ErrNotExist)
	}
	s, err := keystore.Parse(file, data)
	if lacking(err) != nil {
		return keystore.ParsePart(file, data)
	}
	return s, err
}

// Try makes an edit of the key file at path in memory, and returns an error if it cannot be made. It ignores faults that
// involve other files of the directory, since those may change as well.
func Try(path string, change Func) error {
	data, err := Read(path)
	if err == nil {
		data, err = change(data)
	}
	if err == nil {
		err = keystore.CheckAlone(path, data)
	}
	return err
}

// lacking returns the texts of the faults in err if each of them is something that another file of the directory may
// have; otherwise nil.
func lacking(err error) (texts []string) {
	faults, _ := errors.AsType[strictyaml.Faults](err)
	for _, f := range faults {
		if !f.Across {
			return nil
		}
		texts = append(texts, f.Text)
	}
	return texts
}

// parseNext is [Parse] for a file after an edit: its chatflows may list no keys that it lacks, except those that they
// listed before. It is up to the caller whether the file may list no chatflow, as one of a directory may.
func parseNext(file string, before, data []byte) (*keystore.Snapshot, error) {
	s, err := keystore.ParseDraft(file, data)
	lacks := lacking(err)
	if lacks == nil {
		return s, err
	}
	_, errBefore := keystore.ParseDraft(file, before)
	was := lacking(errBefore)
	if slices.ContainsFunc(lacks, func(text string) bool { return !slices.Contains(was, text) }) {
		return nil, err
	}
	return keystore.ParsePart(file, data)
}
