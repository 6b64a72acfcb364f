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

// ParseBegun reads a key file that may yet have to get its chatflows, as an edit does.
func ParseBegun(file string, data []byte) (*Snapshot, error) {
	return parse(file, data, parseOptions{begun: true, plainFrom: plainFrom})
}
