package edit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Version identifies the content of a key file by its SHA-256. A file that does not exist has the version of an empty
// one.
func Version(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ConflictError says that a key file is no longer the version that an edit was based on.
type ConflictError struct {
	File       string
	Want, Have string // versions
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s has changed since it was read, so nothing was done; look at it as it is now, and try again", e.File)
}
