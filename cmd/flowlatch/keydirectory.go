package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// inDirectory sets c.Keys to the key file that has the key, if --keys names a directory. An empty ID is then an error.
func (k *keyEdit) inDirectory(c *config.Config, id string) (err error) {
	if !keystore.IsDirectory(c.Keys) {
		return nil
	}
	if id == "" {
		return usageError{fmt.Errorf("--keys %s: this is a directory, and one file is edited at a time; name the file, or a key with --id", c.Keys)}
	}
	k.directory = c.Keys
	c.Keys, err = keystore.FileOf(c.Keys, id)
	return err
}

// inNewPlace sets c.Keys to the key file for a new key, if --keys names a directory.
func (k *keyEdit) inNewPlace(c *config.Config, file string) error {
	switch isDirectory := keystore.IsDirectory(c.Keys); {
	case file == "" && !isDirectory:
		return nil
	case !isDirectory:
		return usageError{fmt.Errorf("--file %s: it is for a directory of key files, and --keys %s is none; leave it out", file, c.Keys)}
	case file == "":
		return usageError{fmt.Errorf("--keys %s: this is a directory; say with --file which key file in it gets the key, such as --file team.yaml", c.Keys)}
	case !keystore.IsKeyFile(file):
		return usageError{fmt.Errorf("--file %s: want the name of a file in %s, such as team.yaml (*.yaml, *.yml or *.json, not hidden)", file, c.Keys)}
	}
	k.directory = c.Keys
	c.Keys = filepath.Join(c.Keys, file)
	return nil
}

// all returns the path that a gate reads its keys from: the directory, if --keys names one, or else the key file.
func (k *keyEdit) all(c *config.Config) string {
	if k.directory != "" {
		return k.directory
	}
	return c.Keys
}

// keysFlag returns the --keys for a command that a message suggests. For a directory of key files it names the directory,
// because what the command edits may be in another file than the key.
func (k *keyEdit) keysFlag(c *config.Config) string { return "--keys " + keystore.ForShell(k.all(c)) }

// errInvalid is wrapped in errors about edits that would make the key file invalid. The file is then unchanged.
var errInvalid = errors.New("the key file would not be valid any more, so it is left as it is")

// checked returns a change that fails if it would make the key file invalid, by itself or together with the other files
// of its directory.
func (k *keyEdit) checked(path string, change edit.Func) edit.Func {
	return func(data []byte) ([]byte, error) {
		next, err := change(data)
		if err != nil {
			return nil, err
		}
		if k.directory != "" {
			err = keystore.CheckPart(path, next)
		} else if _, err = keystore.Parse(path, next); err != nil && data != nil {
			if _, before := keystore.Parse(path, data); before != nil {
				err = nil // it was invalid before, and an edit adds no fault
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w:\n%w", errInvalid, err)
		}
		return next, nil
	}
}
