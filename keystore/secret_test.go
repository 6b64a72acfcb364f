package keystore_test

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksum is implemented here once more, by the documented contract, as programs elsewhere do it.
func checksum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	var out string
	for range 6 {
		out = string(base62[n%62]) + out
		n /= 62
	}
	return out
}

func TestGenerate(t *testing.T) {
	shape := regexp.MustCompile(`^fl_[0-9A-Za-z]{38}$`)
	seen := map[string]bool{}
	count := map[rune]int{}
	const n = 2000
	for range n {
		s := keystore.Generate()
		if !shape.MatchString(s) {
			t.Fatalf("Generate() = %q, want the shape %s", s, shape)
		}
		if got, want := s[35:], checksum(s[:35]); got != want {
			t.Fatalf("Generate() = %q ends in %q, want %q", s, got, want)
		}
		if seen[s] {
			t.Fatalf("Generate() = %q twice", s)
		}
		seen[s] = true
		if keystore.Mistyped(s) || keystore.ValidateSecret(s) != nil {
			t.Fatalf("a secret just made is refused: %v", keystore.ValidateSecret(s))
		}
		for _, c := range s[3:35] {
			count[c]++
		}
	}
	// 2000 × 32 / 62 is 1032 of each, with a deviation of 32: ten deviations do not happen by chance.
	for _, c := range base62 {
		if count[c] < 712 || count[c] > 1352 {
			t.Errorf("%q stands %d times in %d secrets, want about 1032", c, count[c], n)
		}
	}
}

// One secret, fixed: the checksum is part of the contract.
const known = "fl_hushhushhushhushhushhushhushhush3BjT6b"

func TestMistypedEverySingleCharacter(t *testing.T) {
	if keystore.Mistyped(known) {
		t.Fatalf("Mistyped(%q) = true, want false", known)
	}
	for i := 3; i < len(known); i++ {
		for _, c := range base62 + "-_ \x00" {
			s := known[:i] + string(c) + known[i+1:]
			if got, want := keystore.Mistyped(s), s != known; got != want {
				t.Errorf("Mistyped(%q) = %t, want %t", s, got, want)
			}
		}
	}
}

func TestMistypedEveryTransposition(t *testing.T) {
	for _, s := range []string{known, keystore.Generate()} {
		for i := 3; i < len(s); i++ {
			for j := i + 1; j < len(s); j++ {
				b := []byte(s)
				b[i], b[j] = b[j], b[i]
				if got, want := keystore.Mistyped(string(b)), string(b) != s; got != want {
					t.Errorf("Mistyped(%q) with %d and %d of %q exchanged = %t, want %t", b, i, j, s, got, want)
				}
			}
		}
	}
}

func TestMistypedLength(t *testing.T) {
	for i := 4; i < len(known); i++ {
		for _, s := range []string{known[:i], known + known[:i], known[:i] + known[i-1:], known[:i-1] + known[i:]} {
			if got, want := keystore.Mistyped(s), s != known; got != want {
				t.Errorf("Mistyped(%q) = %t, want %t", s, got, want)
			}
		}
	}
}

// A secret that does not begin like ours is not mistyped but wrong.
func TestMistypedForeign(t *testing.T) {
	for _, s := range []string{"", "fl", "FL_" + known[3:], known[1:], "gl_" + known[3:], " " + known, "hush0hush1hush2hush3hush4hush5hush6hush7hu"} {
		if keystore.Mistyped(s) {
			t.Errorf("Mistyped(%q) = true, want false", s)
		}
	}
}

func TestValidateSecret(t *testing.T) {
	const short, token, sum = "at least 16 characters", "only letters, digits and", "checksum of this fl_ secret"
	for _, test := range []struct{ secret, want string }{
		{known, ""},
		{"QWxhZGRpbjpvcGVuIHNlc2FtZQQWxhZGRpbjpvcGVu4", ""}, // as Flowise makes them
		{"0123456789abcdef", ""},
		{"-._~+/-._~+/-._~", ""},
		{"0123456789abcd==", ""},
		{"", short},
		{"0123456789abcde", short},
		{"üüüüüüüü", token}, // 16 bytes
		{"0123456789abcde ", token},
		{" 0123456789abcdef", token},
		{"0123456789abcdef\n", token},
		{"0123456789 abcdef", token},
		{"0123456789=abcdef", token},
		{"0123456789abcdef,", token},
		{"Bearer 0123456789abcdef", token},
		{"\"0123456789abcdef\"", token},
		{"0123456789abcdef\x00", token},
		{"================", token},
		{known[:40] + "c", sum},
		{strings.ToUpper(known[:3]) + known[3:], ""}, // not ours
		// Cut or doubled when it was copied.
		{known[:40], sum},
		{known[:20], sum},
		{known + "b", sum},
	} {
		err := keystore.ValidateSecret(test.secret)
		if test.want == "" && err != nil || test.want != "" && !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("ValidateSecret(%q) = %v, want %q", test.secret, err, test.want)
		}
		if err != nil && len(test.secret) > 8 && strings.Contains(err.Error(), test.secret) {
			t.Errorf("ValidateSecret(%q) repeats the secret: %v", test.secret, err)
		}
	}
}

func TestParseDigest(t *testing.T) {
	d := keystore.DigestOf("abc") // FIPS 180-2, appendix B.1
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if d.String() != abc {
		t.Errorf("DigestOf(abc) = %s, want %s", d, abc)
	}
	empty := keystore.DigestOf("").String()
	for _, test := range []struct{ in, want string }{
		{abc, ""},
		{strings.ToUpper(abc), ""},
		{abc[:63] + "D", ""},
		{"", "64 hexadecimal digits, this has 0"},
		{abc[:63], "this has 63"},
		{abc + "0", "this has 65"},
		{"sha256:" + abc, "this has 71"},
		{abc[:62] + "0x", "hexadecimal digits only"},
		{abc[:63] + " ", "hexadecimal digits only"},
		{abc[:60] + "１1", "hexadecimal digits only"}, // a full-width digit, 64 bytes in all
		{empty, "digest of an empty secret"},
		{strings.ToUpper(empty), "digest of an empty secret"},
	} {
		got, err := keystore.ParseDigest(test.in)
		switch {
		case test.want == "" && (err != nil || got != d):
			t.Errorf("ParseDigest(%q) = %v, %v, want %v", test.in, got, err, d)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("ParseDigest(%q) = %v, want an error with %q", test.in, err, test.want)
		}
	}
}

// TestFingerprint: the fingerprint is part of the contract, since `key list` and the log of another release must show the
// same one. It contains nothing of the digest.
func TestFingerprint(t *testing.T) {
	d := keystore.DigestOf("abc")
	const want = "4f8b42c2" // printf abc | openssl sha256 -binary | openssl sha256 | cut -c-8
	if got := d.Fingerprint(); got != want {
		t.Errorf("DigestOf(abc).Fingerprint() = %s, want %s", got, want)
	}
	if strings.Contains(d.String(), want) {
		t.Errorf("the digest %s has its fingerprint %s in it", d, want)
	}
	s := keystore.Secret{Digest: d}
	if got := s.Fingerprint(); got != want {
		t.Errorf("Secret.Fingerprint() = %s, want %s", got, want)
	}
}

// FuzzSecret compares what the functions say about a secret: one that is accepted can be sent, and only one that begins
// like ours can be mistyped.
func FuzzSecret(f *testing.F) {
	for _, s := range []string{"", known, known[:40] + "c", known[:40], "0123456789abcdef", "====", "a b", "fl_", keystore.Generate()} {
		f.Add(s)
	}
	sendable := regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := keystore.IsToken(s), sendable.MatchString(s); got != want {
			t.Errorf("IsToken(%q) = %t, want %t", s, got, want)
		}
		ours := strings.HasPrefix(s, "fl_")
		if got, want := keystore.Mistyped(s), ours && (len(s) != 41 || s[35:] != checksum(s[:35])); got != want {
			t.Errorf("Mistyped(%q) = %t, want %t", s, got, want)
		}
		if err := keystore.ValidateSecret(s); err == nil && (len(s) < 16 || !keystore.IsToken(s) || keystore.Mistyped(s)) {
			t.Errorf("ValidateSecret(%q) = nil", s)
		}
		d := keystore.DigestOf(s)
		if back, err := keystore.ParseDigest(d.String()); s != "" && (err != nil || back != d) {
			t.Errorf("ParseDigest(%s) = %v, %v, want it back", d, back, err)
		}
		if keystore.DigestOf(d.String()) == d {
			t.Errorf("the digest of %q is its own digest", s)
		}
		if _, err := keystore.ParseDigest(s); err == nil && len(s) != 64 {
			t.Errorf("ParseDigest(%q) = no error", s)
		}
	})
}
