package keystore

import "time"

// What the tests outside the package need to see of the inside.
var (
	EditError = editError
	ReadError = readError
	Replace   = replace
)

// OwnNotAfter is the end of the key's own validity, whatever its secrets' are.
func (k *Key) OwnNotAfter() time.Time { return k.valid.notAfter() }
