package signin

import (
	"fmt"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// minToken is the least number of characters of an admin token: 128 bits in hexadecimal.
const minToken = 32

// maxTokenFile is the size of the largest file with a token that is read, in bytes.
const maxTokenFile = 4 << 10

// ReadToken returns the digest of the token in a file. No error shows what is in it.
func ReadToken(path string) (keystore.Digest, error) {
	fail := func(format string, args ...any) (keystore.Digest, error) {
		return keystore.Digest{}, fmt.Errorf("reading the admin token: "+format, args...)
	}
	raw, err := watch.ReadFile(path, maxTokenFile)
	if err != nil {
		return fail("%w", err)
	}
	const remedy = "`openssl rand -hex 32` makes a good one"
	switch token := strings.TrimSpace(string(raw)); {
	case len(token) < minToken:
		return fail("%s has %d characters, want at least %d; %s", path, len(token), minToken, remedy)
	case !keystore.IsToken(token):
		return fail("%s has something else than one line of letters, digits and -._~+/ with = at the end; %s", path, remedy)
	default:
		return keystore.DigestOf(token), nil
	}
}

// settleTime is how long a fault of the file must last before it is reported: it may just be written.
const settleTime = 1500 * time.Millisecond

// fault is what is wrong with the file.
type fault struct {
	text  string // empty if nothing is
	since time.Time
	told  bool
}

// reload applies the token in the file. If that cannot be read, the last good one stays valid. If retryIn is not zero, the
// fault may be gone after that time.
func (d *Door) reload() (retryIn time.Duration) {
	token, err := ReadToken(d.opts.File)
	if err == nil {
		d.fault = fault{}
		if token != *d.token.Load() {
			d.token.Store(&token)
			d.opts.Log.Info().Str("file", d.opts.File).Msg("admin token applied; sessions of the old one have ended")
		}
		return 0
	}
	if d.fault.text != err.Error() {
		d.fault = fault{text: err.Error(), since: time.Now()}
	}
	if left := settleTime - time.Since(d.fault.since); left > 0 {
		return left
	}
	if !d.fault.told {
		d.fault.told = true
		d.opts.Log.Error().Err(err).Str("file", d.opts.File).Msg("admin token cannot be read; the last good one stays valid")
	}
	return 0
}
