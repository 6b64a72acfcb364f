package flowise

import (
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// maxCredential is the size of the largest file with an API key that is read, in bytes.
const maxCredential = 64 << 10

// ReadAPIKey reads a file with an API key of Flowise. Errors do not show what is in it.
func ReadAPIKey(path string) (Credential, error) {
	raw, err := watch.ReadFile(path, maxCredential)
	if err != nil {
		return Credential{}, fmt.Errorf("reading the API key of Flowise: %w", err)
	}
	key := strings.TrimSpace(string(raw))
	if !keystore.IsToken(key) {
		return Credential{}, fmt.Errorf("reading the API key of Flowise: %s does not hold one API key and nothing else", path)
	}
	return Credential{APIKey: key}, nil
}
