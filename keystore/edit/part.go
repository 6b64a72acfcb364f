package edit

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Parse returns what the key file data means; nil is a file that does not exist. The file may be one of a directory: keys
// that its chatflows list may be in the others, and so may all chatflows.
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

// Try makes an edit of the key file at path in memory, and returns why it cannot be made. It leaves out what other files of the
// directory have to do with it, which may change as well.
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

// lacking returns what is wrong with a file, if that is nothing but what another file of its directory may have.
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

// parseNext is Parse for what has become of a file: its chatflows may list no more keys that it lacks than they did before.
// Whether it may list no chatflow, as one of a directory may, is left to the caller.
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
