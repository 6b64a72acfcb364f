package edit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

func TestRotateKey(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	until := now.Add(24 * time.Hour) // 2026-06-02T12:00:00Z
	a, b, c := digest("a"), digest("b"), keystore.DigestOf("new").String()
	const end = "not_after: 2026-06-02T12:00:00Z"
	tail := "chatflows:\n  - {id: x, keys: [k]} # all\n"
	tests := map[string]struct{ before, after string }{
		"a digest on its line": {
			"  # The web site.\n  - id: k\n    sha256: " + a + " # of 2025\n    disabled: false\n",
			"  # The web site.\n  - id: k\n    secrets:\n      - sha256: " + a + " # of 2025\n        " + end + "\n      - sha256: " + c + "\n    disabled: false\n",
		},
		"the digest first": {
			"  - sha256: " + a + "\n    id: k\n",
			"  - secrets:\n      - sha256: " + a + "\n        " + end + "\n      - sha256: " + c + "\n    id: k\n",
		},
		"a flow mapping": {
			"  - {id: k, sha256: " + a + ", not_after: 2030-01-01T00:00:00Z}\n",
			"  - {id: k, secrets: [{sha256: " + a + ", " + end + "}, {sha256: " + c + "}], not_after: 2030-01-01T00:00:00Z}\n",
		},
		"a list of secrets": {
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      not_after: 2026-01-01T00:00:00Z\n    - sha256: " + b + "\n",
			"  - id: k\n    secrets:\n    - sha256: " + a + "\n      not_after: 2026-01-01T00:00:00Z\n    - sha256: " + b + "\n      " + end + "\n    - sha256: " + c + "\n",
		},
		"an end that comes earlier now": {
			"  - id: k\n    secrets:\n    - {sha256: " + a + ", not_after: 2027-01-01T00:00:00Z}\n",
			"  - id: k\n    secrets:\n    - {sha256: " + a + ", " + end + "}\n    - sha256: " + c + "\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := "version: 1\nkeys:\n" + tt.before + tail
			got, err := edit.RotateKey("keys.yaml", []byte(before), "k", keystore.DigestOf("new"), until)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff("version: 1\nkeys:\n"+tt.after+tail, string(got)); d != "" {
				t.Errorf("after (-want +got):\n%s", d)
			}
			s, err := keystore.Parse("keys.yaml", got)
			if err != nil {
				t.Fatal(err)
			}
			last := tt.before[strings.LastIndex(tt.before, "sha256: ")+len("sha256: "):][:64]
			old, err := keystore.ParseDigest(last)
			if err != nil {
				t.Fatal(err)
			}
			for at, want := range map[time.Time]keystore.Validity{now: keystore.Valid, until.Add(-1): keystore.Valid, until: keystore.Expired} {
				if got := s.Match(old, at).Validity; got != want {
					t.Errorf("the old secret at %v is %v, want %v", at, got, want)
				}
			}
			if got := s.Match(keystore.DigestOf("new"), until.Add(time.Hour)); got.Validity != keystore.Valid || got.Key.ID != "k" {
				t.Errorf("the new secret is %v, want valid", got.Validity)
			}
			if _, superseded := s.Match(old, now).Secret.Superseded(now); !superseded {
				t.Error("the old secret does not count as superseded")
			}
		})
	}
	for name, tt := range map[string][2]string{
		"no such key":         {"- {id: other, sha256: " + a + "}\nchatflows:\n- {id: x, keys: [other]}\n", `there is no key "k"`},
		"disabled":            {"- {id: k, disabled: true, sha256: " + a + "}\nchatflows:\n- {id: x, keys: [k]}\n", "is disabled"},
		"the key itself ends": {"- {id: k, not_after: 2026-06-01T13:00:00Z, sha256: " + a + "}\nchatflows:\n- {id: x, keys: [k]}\n", "raise its not_after in the key file"},
		"an alias":            {"- {id: o, sha256: &d " + a + ", disabled: true}\n- {id: k, secrets: &s [{sha256: " + b + "}]}\nchatflows:\n- {id: x, keys: [k]}\n", ""},
	} {
		got, err := edit.RotateKey("keys.yaml", []byte("version: 1\nkeys:\n"+tt[0]), "k", keystore.DigestOf("new"), until)
		if tt[1] != "" && (err == nil || !strings.Contains(err.Error(), tt[1]) || got != nil) {
			t.Errorf("%s: RotateKey = %q, %v, want %q", name, got, err, tt[1])
		}
	}
	if _, err := edit.RotateKey("keys.yaml", nil, "k", keystore.DigestOf("new"), until); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("RotateKey without a file = %v, want that it does not exist", err)
	}
}

// TestRotateJSON: a key file in JSON is rotated and pruned like one in YAML, and keeps its layout.
func TestRotateJSON(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	before := `{"version": 1, "keys": [{"id": "k", "sha256": "` + digest("a") + `", "disabled": false}], "chatflows": [{"id": "x", "keys": ["k"]}]}` + "\n"
	got, err := edit.RotateKey("keys.json", []byte(before), "k", keystore.DigestOf("new"), now)
	if err != nil {
		t.Fatal(err)
	}
	added := `, {"sha256": "` + keystore.DigestOf("new").String() + `"}`
	want := strings.Replace(before, `"sha256": "`+digest("a")+`"`, `"secrets": [{"sha256": "`+digest("a")+`", "not_after": "2026-06-01T12:00:00Z"}`+added+`]`, 1)
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("RotateKey (-want +got):\n%s", d)
	}
	got, pruned, err := edit.PruneSecrets("keys.json", got, "", now)
	want = strings.Replace(before, `"sha256": "`+digest("a")+`"`, `"secrets": [`+added[2:]+`]`, 1)
	if d := cmp.Diff(want, string(got)); err != nil || len(pruned) != 1 || d != "" {
		t.Errorf("PruneSecrets = %v, %v (-want +got):\n%s", pruned, err, d)
	}
}

func TestRotateHoney(t *testing.T) {
	data := "version: 1\nkeys:\n- {id: k, honey: true, sha256: " + digest("a") + "}\nchatflows:\n- {id: x, public: true}\n"
	if got, err := edit.RotateKey("f", []byte(data), "k", keystore.DigestOf("new"), time.Now()); got != nil || err == nil || !strings.Contains(err.Error(), `f:3: key "k" is a honey key`) {
		t.Errorf("RotateKey of a honey key = %q, %v, want an error", got, err)
	}
}
