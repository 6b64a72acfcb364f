package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// isPipe reports whether there is a pipe at path, as in `--keys /dev/stdin` and `--keys <(sops -d keys.yaml)`.
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// inputNotice is how long reading an input may take before the command says what it is waiting for.
const inputNotice = 2 * time.Second

// readInput returns the content of a file that is input for one command. More than limit bytes are an error. Unlike a
// file that the gate reads, it may be a pipe, as in `--password-file <(pass flowise)`: whoever runs a command is told
// what it is waiting for, and can end it.
func readInput(path string, limit int64, s streams) (data []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		data, err = readWhole(path, limit)
	}()
	select {
	case <-done:
	case <-time.After(inputNotice):
		fmt.Fprintf(s.err, "waiting for the end of %s: its writer, if there is one, has not closed it\n", path)
		<-done
	}
	return data, err
}

func readWhole(path string, limit int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name a file in it", path)
	}
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
