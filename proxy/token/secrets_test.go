package token

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// TestSecretsFile reads files of secrets with everything that can be wrong with one.
func TestSecretsFile(t *testing.T) {
	t.Parallel()
	good, zeros := secretText(1), base64.StdEncoding.EncodeToString(make([]byte, secretLen))
	for name, tt := range map[string]struct {
		content string
		want    string // a part of the error; empty if there is none
	}{
		"one":              {good + "\n", ""},
		"without its end":  {good, ""},
		"Windows":          {good + "\r\n" + secretText(2) + "\r\n", ""},
		"comments":         {"# made in May\n\n  " + good + "  \n", ""},
		"empty":            {"", "it has no secret; `openssl rand -base64 32` makes a secret"},
		"comments alone":   {"# none\n", "it has no secret"},
		"too short":        {good + "\n" + base64.StdEncoding.EncodeToString(make([]byte, 16)) + "\n", "secrets:2: a secret has 32 bytes, this has 16"},
		"too long":         {base64.StdEncoding.EncodeToString(make([]byte, 33)), "secrets:1: a secret has 32 bytes, this has 33"},
		"no base64":        {"correct horse battery staple", "secrets:1: this is not base64"},
		"without padding":  {strings.TrimRight(good, "="), "secrets:1: this is not base64"},
		"hexadecimal":      {strings.Repeat("0123456789abcdef", 4), "secrets:1: a secret has 32 bytes, this has 48"},
		"zeros":            {zeros, "secrets:1: this secret is not random"},
		"twice":            {good + "\n" + secretText(2) + "\n" + good, "secrets:3: this secret is there twice"},
		"too many":         {many(maxSecrets + 1), "9 secrets, and there may be 8; remove old ones"},
		"as many as allow": {many(maxSecrets), ""},
		"too large":        {strings.Repeat("\n", maxFile+1), "larger than 64 KiB"},
		"all at once":      {"x\n" + good + "\n" + zeros, "secrets:1: this is not base64; `openssl rand -base64 32` makes a secret\n"},
	} {
		path := testkit.WriteFile(t, "secrets", tt.content)
		err := CheckFile(path)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckFile = %v, want %q", name, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), good) || strings.Contains(err.Error(), "correct horse")) {
			t.Errorf("%s: a secret stands in the error: %v", name, err)
		}
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "a directory": t.TempDir()} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "reading the secrets of browser tokens") {
			t.Errorf("%s: Open = %v, want an error that says what was read", name, err)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(secretText(byte(i)) + "\n")
	}
	return b.String()
}

// TestReload changes the file of secrets of a running gate.
func TestReload(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "secrets", secretText(1)+"\n")
	var mu sync.Mutex
	var told []string
	s, err := Open(path, Options{Poll: 20 * time.Millisecond, OnReload: func(r Reload) {
		mu.Lock()
		defer mu.Unlock()
		text := string(r.Result)
		if r.Err != nil {
			text += ": " + r.Err.Error()
		}
		told = append(told, text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mu.Lock(); defer mu.Unlock(); t.Log(told) })
	last := func() string {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			return ""
		}
		return told[len(told)-1]
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	replace := func(content string) { t.Helper(); testkit.ReplaceFile(t, path, content) }
	old := s.mint(t, aToken())
	verify := func(text string, want error) {
		t.Helper()
		if _, err := s.Verify(text, issued); !errors.Is(err, want) {
			t.Errorf("Verify = %v, want %v", err, want)
		}
	}
	verify(old, nil)

	replace(secretText(2) + "\n" + secretText(1) + "\n")
	testkit.Eventually(t, "the new secret", func() bool { return last() == string(watch.Loaded) })
	next := s.mint(t, aToken())
	verify(old, nil)
	verify(next, nil)
	if _, err := secretsOf(t, secretText(2)).Verify(next, issued); err != nil {
		t.Errorf("a token that was minted after the rotation: %v, want it signed with the first secret", err)
	}

	replace("not a secret\n")
	testkit.Eventually(t, "a fault", func() bool { return strings.HasPrefix(last(), string(watch.Failed)+": "+path+":1: this is not base64") })
	verify(old, nil)
	if s.Fault() == nil {
		t.Error("Fault = nil, want why the file does not apply")
	}
	if r, ok := s.Reload(); !ok || r.Result != watch.Failed || r.Secrets != 2 {
		t.Errorf("Reload = %+v, %t, want it to fail and two secrets to stay", r, ok)
	}

	replace(secretText(2) + "\n") // the old secret goes, and with it its tokens, even those that were seen
	testkit.Eventually(t, "the end of the fault", func() bool { return last() == string(watch.Loaded) })
	verify(old, ErrSignature)
	verify(next, nil)
	if s.Fault() != nil {
		t.Errorf("Fault = %v, want nil", s.Fault())
	}
	if r, ok := s.Reload(); !ok || r.Result != watch.Unchanged {
		t.Errorf("Reload of the same file = %+v, %t", r, ok)
	}

	cancel()
	<-done
	if _, ok := Random().Reload(); ok {
		t.Error("Reload of random secrets: ok, want none")
	}
}

// TestReloadInPlace writes the file in place. It is not applied at once, because a secret may still be missing.
func TestReloadInPlace(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "secrets", secretText(1)+"\n")
	s, err := Open(path, Options{Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	old := s.mint(t, aToken())
	if err := os.WriteFile(path, []byte(secretText(3)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "a file written in place", func() bool {
		_, err := s.Verify(old, issued)
		return errors.Is(err, ErrSignature)
	})
}
