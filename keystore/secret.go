package keystore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// Digest is the SHA-256 of a secret, the only form in which a secret is kept.
//
// A fast hash is enough because secrets are random, with 190 bits or more: nobody can guess one. A slow hash at every
// request would let anybody overload the gate.
type Digest [sha256.Size]byte

// DigestOf returns the digest of secret. It allocates nothing for secrets of the usual lengths.
func DigestOf(secret string) Digest {
	var b [128]byte
	if len(secret) <= len(b) {
		return sha256.Sum256(b[:copy(b[:], secret)])
	}
	return sha256.Sum256([]byte(secret))
}

// String returns the digest as 64 lower-case hexadecimal digits, as a key file holds it.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Fingerprint identifies a secret where people and logs must tell the secrets of a key apart: it is the first 8
// hexadecimal digits of the SHA-256 of its digest. It is public: neither the secret nor the digest can be computed from
// it. Like the digest, it can confirm a guess, so a secret must be random, as those of [Generate] are.
func (d Digest) Fingerprint() string {
	sum := sha256.Sum256(d[:])
	return hex.EncodeToString(sum[:4])
}

// ParseDigest reads 64 hexadecimal digits. It refuses the digest of the empty string, which is what a script computes if
// a variable is not set.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return d, fmt.Errorf("a SHA-256 digest is %d hexadecimal digits, this has %d characters", hex.EncodedLen(len(d)), len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, errors.New("a SHA-256 digest is hexadecimal digits only")
	}
	if d == DigestOf("") {
		return d, errors.New("this is the digest of an empty secret")
	}
	return d, nil
}

// The parts of a secret: prefix, random part, checksum.
const (
	secretPrefix   = "fl_"
	secretRandom   = 32 // base62 characters, 190 bits
	secretChecksum = 6  // base62 characters, CRC-32 (IEEE) of the rest
	secretLen      = len(secretPrefix) + secretRandom + secretChecksum

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// MinSecretLen is the least number of characters of a secret that was not made by [Generate]. Flowise's have 43.
const MinSecretLen = 16

// Generate returns a new secret: "fl_", 32 random base62 characters and a checksum of six.
func Generate() string {
	b := make([]byte, 0, secretLen)
	b = append(b, secretPrefix...)
	n := big.NewInt(int64(len(base62)))
	for range secretRandom {
		i, err := rand.Int(rand.Reader, n)
		if err != nil { // crypto/rand does not return errors since Go 1.24
			panic(err)
		}
		b = append(b, base62[i.Int64()])
	}
	sum := checksum(string(b))
	return string(append(b, sum[:]...))
}

// checksum returns the CRC-32 (IEEE) of a secret's other characters, in base62. It does not use package crc32, whose
// argument would escape to the heap at every request.
func checksum(s string) (digits [secretChecksum]byte) {
	sum := ^uint32(0)
	for i := range len(s) {
		sum = crc32.IEEETable[byte(sum)^s[i]] ^ sum>>8
	}
	sum = ^sum
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return digits
}

// Mistyped reports whether s begins like a secret made by [Generate] but has the wrong length or checksum: an error in
// typing or copying rather than a wrong key. The response to the client is the same; the log line tells the operator the
// difference.
func Mistyped(s string) bool {
	if !strings.HasPrefix(s, secretPrefix) {
		return false
	}
	if len(s) != secretLen {
		return true
	}
	sum := checksum(s[:secretLen-secretChecksum])
	return string(sum[:]) != s[secretLen-secretChecksum:]
}

// LooksLikeSecret reports whether s, which should be an ID, is a secret made by [Generate], or most of one.
func LooksLikeSecret(s string) bool {
	rest, ok := strings.CutPrefix(s, secretPrefix)
	return ok && len(s) >= MinSecretLen && strings.Trim(rest, base62) == ""
}

// ValidateSecret returns an error if s cannot be a secret. Secrets that were not made by [Generate] are accepted
// if they are long enough and can be sent as a Bearer token (RFC 6750 section 2.1, b64token).
func ValidateSecret(s string) error {
	if len(s) < MinSecretLen {
		return fmt.Errorf("a secret has at least %d characters, this has %d; `flowlatch key new` makes a good one", MinSecretLen, len(s))
	}
	if !IsToken(s) {
		return errors.New("a secret may have only letters, digits and -._~+/ and = at the end, or no client could send it as a Bearer token")
	}
	if Mistyped(s) {
		return errors.New("the checksum of this fl_ secret is wrong: it was mistyped, or not copied completely")
	}
	return nil
}

// IsToken reports whether s is a b64token of RFC 6750 section 2.1. It is called for every request, and a loop takes a
// quarter of the time of package strings.
func IsToken(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return body != ""
}
