package keystore_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

var goodID = regexp.MustCompile(`^(?:[A-Za-z0-9._~@-]{1,128}|\*)$`)

// seeds are the key files of testdata.
func seeds(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("Glob = %d files, %v", len(paths), err)
	}
	var list []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for wantLine.Match(data[:max(0, strings.IndexByte(string(data), '\n'))]) {
			data = data[strings.IndexByte(string(data), '\n')+1:]
		}
		list = append(list, string(data))
	}
	for _, test := range byteFiles() {
		if len(test.data) < 1000 {
			list = append(list, test.data)
		}
	}
	return list
}

// FuzzParse: for whatever is read, there is either a snapshot that means what the file says, or a list of faults on its
// lines.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		s, err := keystore.Parse("f", []byte(data))
		if err != nil {
			checkFaults(t, s, err, data)
			return
		}
		v := viewOf(s)
		again, err := keystore.Parse("f", []byte(render(v)))
		if err != nil {
			t.Fatalf("accepted, and not when it is written plainly: %v\n%s", err, render(v))
		}
		if diff := cmp.Diff(v, viewOf(again)); diff != "" {
			t.Errorf("written plainly it is another snapshot (-want +got):\n%s", diff)
		}
		checkSnapshot(t, s)
	})
}

func checkFaults(t *testing.T, s *keystore.Snapshot, err error, data string) {
	t.Helper()
	var faults strictyaml.Faults
	if s != nil || !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("Parse = %v, %v (%T), want no snapshot and faults", s, err, err)
	}
	lines := len(regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]").FindAllString(data, -1)) + 1
	lines++ // YAML reports what is missing at the end on the line after it, even if there is none
	for _, f := range faults {
		if f.Line < 0 || f.Line > lines || f.Text == "" || f.File != "f" {
			t.Errorf("fault %+v in a file of %d lines", f, lines)
		}
	}
}

func checkSnapshot(t *testing.T, s *keystore.Snapshot) {
	t.Helper()
	known := map[*keystore.Key]bool{}
	for _, k := range s.Keys() {
		if known[k] = true; !goodID.MatchString(k.ID) || k.ID == keystore.EveryChatflow || s.Key(k.ID) != k {
			t.Errorf("key ID %q", k.ID)
		}
		if len(k.Secrets()) == 0 {
			t.Errorf("key %q has no secret", k.ID)
		}
		for _, sec := range k.Secrets() {
			if m := s.Match(sec.Digest, time.Now()); m.Key != k || m.Validity == keystore.Unknown {
				t.Errorf("Match(%v) = key %v, %v, want key %q", sec.Digest, m.Key, m.Validity, k.ID)
			}
		}
	}
	if len(s.Chatflows()) == 0 {
		t.Error("no chatflow")
	}
	for _, c := range s.Chatflows() {
		if !goodID.MatchString(c.ID) || (c.ID == keystore.EveryChatflow && c.Public) || (!c.Public && len(c.Keys()) == 0) {
			t.Errorf("chatflow %+v", c)
		}
		for _, k := range c.Keys() {
			if !known[k] || !s.Opens(k, c.ID) {
				t.Errorf("chatflow %q has key %q, which is known: %t, opens it: %t", c.ID, k.ID, known[k], s.Opens(k, c.ID))
			}
		}
	}
	for _, w := range s.Warnings {
		if !strings.HasPrefix(w, "f:") {
			t.Errorf("warning %q without its place", w)
		}
	}
}
