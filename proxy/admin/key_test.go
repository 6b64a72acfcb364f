package admin_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// key asks for the status of one key.
func (g *gate) key(t *testing.T, id string) (one admin.OneKey, size int) {
	t.Helper()
	w := g.ask("GET", "/status?key="+url.QueryEscape(id), "localhost")
	if err := json.Unmarshal(w.Body.Bytes(), &one); err != nil || w.Code != 200 {
		t.Fatalf("status?key=%s = %d, %v: %s", id, w.Code, err, w.Body)
	}
	return one, w.Body.Len()
}

// TestOneKey has keys that are used and refused. The status of each is the same when it is asked for alone and among
// all keys.
func TestOneKey(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := newGate(t, keyFile, streamOrFail(release))
	g.post(t, predict+botA, secretA, "")
	g.post(t, predict+botA, secretA, "fail")
	g.post(t, predict+botA, "secret-expired-0123456789", "")
	g.post(t, predict+botA, "secret-expired-0123456789", "")
	g.post(t, predict+botA, secretB, "")
	g.send(t, predict+botA, secretA, "stream")
	defer close(release)
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 5 })
	for id, want := range map[string]admin.KeyStatus{
		"key-a": {Status: "valid", Generation: 1, OpenRequests: 1, CountStatus: admin.CountStatus{Requests: 2, Failed: 1, Streams: 1}},
		"key-b": {Status: "valid", Generation: 1, CountStatus: admin.CountStatus{Requests: 1, Refused: map[problem.Code]uint64{"key_not_for_chatflow": 1}}},
		"old":   {Status: "expired", Generation: 1, CountStatus: admin.CountStatus{Requests: 2, Refused: map[problem.Code]uint64{"invalid_key": 2}}},
		"off":   {Status: "disabled", Generation: 1},
	} {
		one, _ := g.key(t, id)
		if one.Key == nil || one.Generation != 1 {
			t.Errorf("status of %s = %+v, want one of generation 1", id, one)
			continue
		}
		for _, k := range g.status(t, "").Keys {
			if diff := cmp.Diff(*one.Key, k); k.ID == id && diff != "" {
				t.Errorf("%s alone and among all (-alone +all):\n%s", id, diff)
			}
		}
		got := *one.Key
		if used := id == "key-a"; got.LastUsed.IsZero() == used || got.LastRefused.IsZero() == (want.Refused != nil) {
			t.Errorf("%s: last used at %v, last refused at %v, want used %t, refused %t", id, got.LastUsed, got.LastRefused, used, want.Refused != nil)
		}
		want.ID, want.Secrets, want.NotAfter = id, 1, got.NotAfter
		want.LastUsed, want.LastCall, want.LastRefused = got.LastUsed, got.LastCall, got.LastRefused
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status of %s (-want +got):\n%s", id, diff)
		}
	}
	for _, id := range []string{"none", "", "key-a ", "a&limit=1"} {
		if one, _ := g.key(t, id); one.Key != nil || one.Generation != 1 {
			t.Errorf("status of %q = %+v, want generation 1 and no key", id, one)
		}
	}
	for by, want := range map[string]string{"last_refused": "key-b old", "last_used": "key-a"} {
		if s := g.status(t, "?limit=1&keys_by="+by); !strings.Contains(want, s.Keys[0].ID) {
			t.Errorf("first key by %s = %s, want one of %s", by, s.Keys[0].ID, want)
		}
	}
	metrics := g.ask("GET", "/metrics", "localhost").Body.String()
	for _, want := range []string{
		`flowlatch_key_denied_total{code="invalid_key",key="old"} 2`, `flowlatch_key_denied_total{code="key_not_for_chatflow",key="key-b"} 1`,
		`flowlatch_key_last_refused_timestamp_seconds{key="old"} 1.`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if n := strings.Count(metrics, "\nflowlatch_key_denied_total{"); n != 2 {
		t.Errorf("series of refused keys = %d, want 2", n)
	}
}

// TestSecretUse checks that the status shows after a rotation which secret is still used.
func TestSecretUse(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	g.post(t, predict+botA, secretA, "")
	if one, _ := g.key(t, "key-a"); one.Key.SecretUse != nil {
		t.Errorf("secrets of a key with one = %+v, want none told apart", one.Key.SecretUse)
	}
	next := keystore.Generate()
	two := strings.Replace(keyFile, "{id: key-a, secret: "+secretA+"}", "{id: key-a, secrets: [{secret: "+secretA+", not_after: 2200-01-01T00:00:00Z}, {secret: "+next+"}]}", 1)
	if status, body := g.reload(t, two); status != 200 {
		t.Fatalf("reload = %d %s", status, body)
	}
	one, _ := g.key(t, "key-a")
	if len(one.Key.SecretUse) != 2 {
		t.Fatalf("secrets = %+v, want 2", one.Key.SecretUse)
	}
	old, current := one.Key.SecretUse[0], one.Key.SecretUse[1]
	if old.Fingerprint != keystore.DigestOf(secretA).Fingerprint() || old.NotAfter.IsZero() || old.LastUsed.IsZero() {
		t.Errorf("old secret = %+v, want its fingerprint, its end, and its use before the rotation", old)
	}
	if current.Fingerprint != keystore.DigestOf(next).Fingerprint() || !current.NotAfter.IsZero() || !current.LastUsed.IsZero() {
		t.Errorf("current secret = %+v, want its fingerprint and no use", current)
	}
	g.post(t, predict+botA, next, "")
	if one, _ = g.key(t, "key-a"); one.Key.SecretUse[1].LastUsed.IsZero() {
		t.Errorf("current secret = %+v after its use, want when it was used", one.Key.SecretUse[1])
	}
}

// TestOneOfManyKeys: asking for one key costs the same however many there are.
func TestOneOfManyKeys(t *testing.T) {
	t.Parallel()
	n := 3000
	if testkit.Long() {
		n = 300_000
	}
	var keys strings.Builder
	keys.WriteString("version: 1\nkeys:\n")
	for i := range n {
		fmt.Fprintf(&keys, "- {id: k%d, sha256: %s}\n", i, keystore.DigestOf(fmt.Sprint(i)))
	}
	keys.WriteString("chatflows:\n- {id: \"*\", keys: [k0]}\n")
	g := newGate(t, keys.String(), nil)
	if one, size := g.key(t, fmt.Sprintf("k%d", n-1)); one.Key == nil || size > 1000 {
		t.Errorf("status of one of %d keys = %+v in %d bytes, want it in less than 1000", n, one.Key, size)
	}
}

// TestHoneyKeyAndOwner checks that the status shows what a key is for, and who owns it.
func TestHoneyKeyAndOwner(t *testing.T) {
	t.Parallel()
	g := newGate(t, strings.Replace(keyFile, "chatflows:\n", "  - {id: trap, secret: secret-of-honey-0123456789, owner: 'Jane, <Acme>', honey: true}\nchatflows:\n", 1), nil)
	s := g.status(t, "?filter=trap")
	if s.KeyCounts.Honey != 1 || len(s.Keys) != 1 || s.Keys[0].Status != "honey" || s.Keys[0].Owner != "Jane, <Acme>" {
		t.Errorf("status = %+v, keys %+v, want one honey key and its owner", s.KeyCounts, s.Keys)
	}
}
