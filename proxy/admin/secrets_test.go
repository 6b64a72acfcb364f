package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// secrets are those of the key file.
var secrets = []string{secretA, secretB, secretOps, "secret-expired-0123456789", "secret-disabled-0123456789", "secret-of-the-future-0123456789"}

// digestFile is the key file with digests in place of secrets.
func digestFile() string {
	content := keyFile
	for _, s := range secrets {
		content = strings.Replace(content, "secret: "+s, "sha256: "+keystore.DigestOf(s).String(), 1)
	}
	return content
}

// checkSecrets searches a text for secrets, their digests, and a secret that is too short to be one.
func checkSecrets(t *testing.T, name, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s is empty, want something to search", name)
	}
	words := append([]string{"too-short"}, secrets...)
	for _, s := range secrets {
		words = append(words, keystore.DigestOf(s).String())
	}
	for _, w := range words {
		if strings.Contains(strings.ToLower(text), w) {
			t.Errorf("%s has %q in it:\n%.2000s", name, w, text)
		}
	}
}

// TestFaultsHoldNoSecret reloads key files whose faults are in the secrets themselves, or beside them.
func TestFaultsHoldNoSecret(t *testing.T) {
	t.Parallel()
	digest := keystore.DigestOf(secretA).String()
	entry := func(s string) string { return strings.Replace(keyFile, "{id: key-a, secret: "+secretA+"}", s, 1) }
	for name, content := range map[string]string{
		"one secret, two keys":          entry("{id: key-a, secret: " + secretB + "}"),
		"one digest, two keys":          entry("{id: key-a, sha256: " + digest + "}\n  - {id: twin, secret: " + secretA + "}"),
		"digest of an active key":       entry("{id: key-a, sha256: " + digest + "}\n  - {id: twin, sha256: " + digest + "}"),
		"digest too long":               entry("{id: key-a, sha256: " + digest + "0}"),
		"digest too short":              entry("{id: key-a, sha256: " + digest[:63] + "}"),
		"secret for a digest":           entry("{id: key-a, sha256: " + secretA + "}"),
		"secret too short":              entry("{id: key-a, secret: too-short}"),
		"secret with a blank":           entry("{id: key-a, secret: '" + secretA + " x'}"),
		"secret that is a list":         entry("{id: key-a, secret: [" + secretA + "]}"),
		"secret that is a mapping":      entry("{id: key-a, secret: {" + secretA + ": 1}}"),
		"secret and digest":             entry("{id: key-a, secret: " + secretA + ", sha256: " + digest + "}"),
		"secret twice":                  entry("{id: key-a, secret: " + secretA + ", secret: " + secretA + "}"),
		"unknown field":                 entry("{id: key-a, secrett: " + secretA + "}"),
		"two documents":                 keyFile + "---\n" + secretA + "\n",
		"no YAML":                       entry("{id: key-a, secret: " + secretA + "\n"),
		"tabs":                          strings.Replace(keyFile, "  - {id: key-b", "\t- {id: key-b", 1),
		"secret for a time":             entry("{id: key-a, secret: " + secretA + ", not_after: " + secretB + "}"),
		"secret for a bool":             entry("{id: key-a, secret: " + secretA + ", disabled: " + secretB + "}"),
		"unknown alias":                 entry("{id: key-a, secret: *" + secretA + "}"),
		"anchor":                        entry("{id: key-a, secret: &x " + secretA + "}\n  - {id: twin, secret: *x}"),
		"not UTF-8":                     entry("{id: key-a, secret: " + secretA + "\xff}"),
		"other version, secrets follow": strings.Replace(keyFile, "version: 1", "version: "+secretA, 1),
		"empty":                         "",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, digestFile(), nil)
			code, fault := g.reload(t, content)
			if code != 422 {
				t.Fatalf("reload = %d %s, want 422", code, fault)
			}
			checkSecrets(t, "response to the reload", fault)
			checkSecrets(t, "metrics", g.ask("GET", "/metrics", "localhost").Body.String())
			checkSecrets(t, "status", g.ask("GET", "/status", "localhost").Body.String())
			_, err := keystore.Parse("keys.yaml", []byte(content))
			checkSecrets(t, "error", fmt.Sprint(err))
		})
	}
}

// TestStatusHoldsNoDigest searches the status for digests of secrets that the key file has in plain text, and about
// which the status warns.
func TestStatusHoldsNoDigest(t *testing.T) {
	t.Parallel()
	state := newGate(t, keyFile, nil).ask("GET", "/status", "localhost").Body.String()
	if !strings.Contains(state, "plain text") {
		t.Errorf("status = %s, want a warning of secrets in plain text", state)
	}
	checkSecrets(t, "status", state)
}
