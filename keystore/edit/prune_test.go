package edit_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

func TestPruneSecrets(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	a, b, c, d := digest("a"), digest("b"), digest("c"), digest("d")
	const over, later = "not_after: 2026-06-01T12:00:00Z", "not_after: 2026-06-01T12:00:01Z"
	for name, test := range map[string]struct {
		before, after string
		gone          []string
	}{
		"one of two": {
			"  - id: k # the web site\n    secrets:\n      # of 2025\n      - sha256: " + a + "\n        " + over + " # long ago\n      # of 2026\n      - sha256: " + b + "\n",
			"  - id: k # the web site\n    secrets:\n      # of 2025\n      # of 2026\n      - sha256: " + b + "\n",
			[]string{a},
		},
		"the last and one in the middle": {
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n    - sha256: " + b + "\n      " + over + "\n    - sha256: " + c + "\n      " + later + "\n    - sha256: " + d + "\n      " + over + "\n    disabled: false\n",
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n    - sha256: " + c + "\n      " + later + "\n    disabled: false\n",
			[]string{b, d},
		},
		"on one line": {
			"  - {id: k, secrets: [{sha256: " + a + ", " + over + "}, {sha256: " + b + ", " + over + "}, {sha256: " + c + "}, { " + over + ", sha256: " + d + " } ]} # all\n",
			"  - {id: k, secrets: [{sha256: " + c + "} ]} # all\n",
			[]string{a, b, d},
		},
		"two that stand together, with a comment between": {
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      " + over + "\n    # of 2026\n    - {sha256: " + b + ", " + over + "}\n    - sha256: " + c + "\n",
			"  - id: k\n    secrets:\n    # of 2026\n    - sha256: " + c + "\n",
			[]string{a, b},
		},
		"on one line each": {
			"  - id: k\n    secrets:\n    - {sha256: " + a + ", " + over + "}\n    - {sha256: " + b + "}\n",
			"  - id: k\n    secrets:\n    - {sha256: " + b + "}\n",
			[]string{a},
		},
		"all but the last to expire": {
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      " + over + "\n    - sha256: " + b + "\n      not_after: 2026-01-01T00:00:00Z\n",
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      " + over + "\n",
			[]string{b},
		},
		"a key that has expired with its only secret": {"  - id: k\n    sha256: " + a + "\n    " + over + "\n", "", nil},
		"nothing has expired":                         {"  - id: k\n    secrets:\n    - sha256: " + a + "\n      " + later + "\n    - sha256: " + b + "\n", "", nil},
		"two keys": {
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      " + over + "\n    - sha256: " + b + "\n  - id: l\n    secrets: [{sha256: " + c + ", " + over + "}, {sha256: " + d + "}]\n",
			"  - id: k\n    secrets:\n    - sha256: " + b + "\n  - id: l\n    secrets: [{sha256: " + d + "}]\n",
			[]string{a, c},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := func(keys string) string {
				return "version: 1\nkeys:\n" + keys + "chatflows:\n  - {id: x, keys: [k]} # all\n"
			}
			if test.after == "" {
				test.after = test.before
			}
			got, pruned, err := edit.PruneSecrets("keys.yaml", []byte(file(test.before)), "", now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(file(test.after), string(got)); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
			var gone []string
			for _, p := range pruned {
				gone = append(gone, p.Secret.Digest.String())
			}
			if diff := cmp.Diff(test.gone, gone); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			if again, pruned, err := edit.PruneSecrets("keys.yaml", got, "", now); err != nil || len(pruned) > 0 || !bytes.Equal(again, got) {
				t.Errorf("once more = %v, %v, want that nothing is left to do", pruned, err)
			}
		})
	}
}

func TestPruneRefused(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	expired := "{sha256: " + digest("a") + ", not_after: 2026-01-01T00:00:00Z}"
	tail := "chatflows:\n- {id: x, keys: [k]}\n"
	for name, test := range map[string]struct{ data, id, want string }{
		"no such key": {"keys:\n- {id: k, sha256: " + digest("a") + "}\n" + tail, "other", `there is no key "other"`},
		"a comment in brackets": {
			"keys:\n- {id: k, secrets: [" + expired + ", # of Jane\n  {sha256: " + digest("b") + "}]}\n" + tail, "k",
			"a comment stands between the brackets",
		},
		"a shared list": {"keys:\n- {id: k, secrets: &s [" + expired + ", {sha256: " + digest("b") + "}]}\n- {id: o, secrets: *s}\n" + tail, "k", ""},
		"an alias":      {"keys:\n- {id: o, disabled: true, secrets: [&e {sha256: " + digest("o") + ", not_after: 2026-01-01T00:00:00Z}, {sha256: " + digest("b") + "}]}\n- {id: k, sha256: " + digest("k") + "}\n" + tail, "k", "nothing"},
	} {
		got, pruned, err := edit.PruneSecrets("keys.yaml", []byte("version: 1\n"+test.data), test.id, now)
		if test.want == "nothing" {
			if err != nil || len(pruned) > 0 {
				t.Errorf("%s: PruneSecrets = %v, %v, want nothing removed", name, pruned, err)
			}
			continue
		}
		if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: PruneSecrets = %q, %v, want %q", name, got, err, test.want)
		}
	}
	if _, _, err := edit.PruneSecrets("keys.yaml", nil, "", now); !strings.Contains(fmt.Sprint(err), "does not exist") {
		t.Errorf("PruneSecrets without a file = %v, want that it does not exist", err)
	}
}

// FuzzPrune checks that pruning removes expired secrets of a valid file and nothing else, or refuses.
func FuzzPrune(f *testing.F) {
	a, b := digest("a"), digest("b")
	f.Add("    secrets:\n    - sha256: " + a + "\n      not_after: 2026-01-01T00:00:00Z\n    - sha256: " + b + "\n")
	f.Add("    secrets: [{sha256: " + a + ", not_after: 2026-01-01T00:00:00Z}, {sha256: " + b + "}]\n")
	f.Add("    secrets:\n    - {sha256: " + a + ",\n       not_after: 2026-01-01T00:00:00Z # }\n      }\n    - {sha256: " + b + "}\n")
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, secrets string) {
		data := []byte("version: 1\nkeys:\n  - id: k\n" + secrets + "chatflows:\n  - {id: x, keys: [k]}\n")
		was, err := keystore.Parse("f", data)
		if err != nil {
			return
		}
		next, pruned, err := edit.PruneSecrets("f", data, "", now)
		if err != nil {
			return
		}
		is, err := keystore.Parse("f", next)
		if err != nil {
			t.Fatalf("PruneSecrets = %q, which is not valid: %v", next, err)
		}
		left := 0
		for _, k := range was.Keys() {
			for _, s := range k.Secrets() {
				expired := s.Validity(now) != keystore.Valid
				if got := is.Match(s.Digest, now).Key; got == nil && !expired {
					t.Errorf("a secret that is valid was removed from\n%s", data)
				} else if got != nil {
					left++
				}
			}
		}
		total := 0
		for _, k := range was.Keys() {
			total += len(k.Secrets())
		}
		if left+len(pruned) != total {
			t.Errorf("%d secrets, %d left and %d removed of\n%s", total, left, len(pruned), data)
		}
	})
}
