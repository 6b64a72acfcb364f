package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Secrets sign and verify tokens. All methods may be called concurrently.
type Secrets struct {
	random  *state                  // this process's secrets if they are not in a file
	file    *watch.Reloader[*state] // nil if the secrets are random
	options Options
}

// current returns the secrets that apply now.
func (s *Secrets) current() *state {
	if s.file == nil {
		return s.random
	}
	return s.file.Value()
}

// state are the secrets of one version of the file, and the tokens that were verified with them.
type state struct {
	keys   []jwt.VerificationKey // []byte each; the first signs
	parser *jwt.Parser
	seen   recent[[sha256.Size]byte, *Token]
}

func newState(secrets [][]byte) *state {
	s := &state{seen: recent[[sha256.Size]byte, *Token]{most: maxSeen}, parser: jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())}
	for _, secret := range secrets {
		s.keys = append(s.keys, secret)
	}
	return s
}

// The number and size of secrets.
const (
	secretLen    = 32 // bytes
	maxSecrets   = 8  // each costs a signature for every token that was not seen before
	maxFile      = 64 << 10
	minDistinct  = 8 // different bytes in a secret; 32 random bytes have more
	secretAdvice = "`openssl rand -base64 32` makes a secret"
)

// Random returns a secret that only this process has. Its tokens are worthless after the process ends, and at other
// gates.
func Random() *Secrets {
	secret := make([]byte, secretLen)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return &Secrets{random: newState([][]byte{secret})}
}

// CheckFile returns what is wrong with a file of secrets, or nil.
func CheckFile(path string) error {
	_, err := Open(path, Options{})
	return err
}

// parseSecrets reads secrets in base64, one on each line. Blank lines and lines that begin with # are ignored. The error
// lists everything that is wrong, and shows no part of a secret.
func parseSecrets(file string, data []byte) (secrets [][]byte, err error) {
	var faults []error
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fault := func(text string) { faults = append(faults, fmt.Errorf("%s:%d: %s; %s", file, n, text, secretAdvice)) }
		secret, err := base64.StdEncoding.Strict().DecodeString(line)
		switch {
		case err != nil:
			fault("this is not base64")
		case len(secret) != secretLen:
			fault(fmt.Sprintf("a secret has %d bytes, this has %d", secretLen, len(secret)))
		case len(slices.Compact(slices.Sorted(slices.Values(secret)))) < minDistinct:
			fault("this secret is not random")
		case slices.ContainsFunc(secrets, func(s []byte) bool { return bytes.Equal(s, secret) }):
			fault("this secret is there twice")
		default:
			secrets = append(secrets, secret)
		}
	}
	switch {
	case len(secrets) > maxSecrets:
		faults = append(faults, fmt.Errorf("%s: %d secrets, and there may be %d; remove old ones, whose tokens have expired", file, len(secrets), maxSecrets))
	case len(secrets) == 0 && len(faults) == 0:
		faults = append(faults, fmt.Errorf("%s: it has no secret; %s", file, secretAdvice))
	}
	return secrets, errors.Join(faults...)
}
