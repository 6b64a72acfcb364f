package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// isPipe reports whether there is a pipe at path, as in `--keys /dev/stdin` and `--keys <(sops -d keys.yaml)`.
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// readInput returns the content of a file that somebody names for one command, of at most limit bytes. Unlike a file that the
// gate reads, it may be a pipe, as in `--password-file <(pass flowise)`: whoever runs a command can end it.
func readInput(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes, the most that is read; is it the right file?", path, limit)
	}
	return data, err
}
