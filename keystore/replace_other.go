//go:build !unix

package keystore

import (
	"io/fs"
	"os"
)

func lockDir(string) (unlock func(), err error) { return func() {}, nil }

func keepOwner(*os.File, fs.FileInfo) error { return nil }
