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
	r := newToken(path).Reload(true)
	return r.New, r.Err
}

// newToken returns a reloader of the digest of the token in a file.
func newToken(path string) *watch.Reloader[keystore.Digest] {
	fail := func(format string, args ...any) (keystore.Digest, error) {
		return keystore.Digest{}, fmt.Errorf("reading the admin token: "+format, args...)
	}
	return watch.NewReloader(maxTokenFile, func(contents [][]byte, err error) (keystore.Digest, error) {
		if err != nil {
			return fail("%w", err)
		}
		const remedy = "`openssl rand -hex 32` makes a good one"
		switch token := strings.TrimSpace(string(contents[0])); {
		case len(token) < minToken:
			return fail("%s has %d characters, want at least %d; %s", path, len(token), minToken, remedy)
		case !keystore.IsToken(token):
			return fail("%s has something else than one line of letters, digits and -._~+/ with = at the end; %s", path, remedy)
		default:
			return keystore.DigestOf(token), nil
		}
	}, path)
}

// reload applies the token in the file. If the file cannot be read, the last good token stays valid. If retryIn is not
// zero, the file should be read again after that time.
func (d *Door) reload() (retryIn time.Duration) {
	r := d.token.Reload(false)
	switch {
	case r.IsNews && r.Err != nil:
		d.opts.Log.Error().Err(r.Err).Str("file", d.opts.File).Msg("admin token cannot be read; the last good one stays valid")
	case r.New != r.Old:
		d.opts.Log.Info().Str("file", d.opts.File).Msg("admin token applied; sessions of the old one have ended")
	}
	return r.RetryIn
}
