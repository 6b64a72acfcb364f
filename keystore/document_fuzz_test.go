package keystore

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// FuzzParseSeveral: whether two files are accepted, and what they mean, does not depend on which changed last. A fault is
// in one of them, or in the directory. If they are accepted, each secret belongs to the key that has it.
func FuzzParseSeveral(f *testing.F) {
	f.Add(part("a b", "x a c"), part("c", "y a b"))
	f.Add(part("a"), part("", `"*" a`)+"flowise_api_keys: f\n")
	f.Add(part("a", "x a"), part("a", "x a"))
	f.Add(part("a", "x b"), strings.Replace(part("b"), strings.Repeat("b", 64), strings.Repeat("a", 64), 1))
	f.Add("version: 1\nkeys: []\n", "version: 2\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		var meanings []string
		for _, change := range [][2]uint64{{0, 1}, {1, 0}, {1, 1}} {
			s, err := parse("dir", []source{changed("a", change[0], a), changed("b", change[1], b)}, parseOptions{directory: true})
			if err != nil {
				var faults strictyaml.Faults
				if s != nil || !errors.As(err, &faults) || len(faults) == 0 {
					t.Fatalf("parse = %v, %v, want no snapshot and faults", s, err)
				}
				for _, f := range faults {
					if !slices.Contains([]string{"a", "b", "dir"}, f.File) || f.Text == "" {
						t.Errorf("fault %+v, want one of a file", f)
					}
				}
				meanings = append(meanings, "")
				continue
			}
			meanings = append(meanings, summary(s))
			for _, k := range s.keys {
				for _, secret := range k.secrets {
					if m := s.Match(secret.Digest, time.Now()); m.Key != k {
						t.Errorf("the secret of key %q is that of %v", k.ID, m.Key)
					}
				}
			}
			for _, c := range s.chatflows {
				for _, k := range c.keys {
					if s.keys[k.number] != k || !s.Opens(k, c.ID) {
						t.Errorf("chatflow %q lists key %q, which does not open it", c.ID, k.ID)
					}
				}
			}
		}
		if len(slices.Compact(meanings)) > 1 {
			t.Errorf("a\n%s\nb\n%s\nmean %q, want the same whichever changed last", a, b, meanings)
		}
	})
}
