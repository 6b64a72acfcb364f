package keystore_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

func TestParseUpstreamAuthorization(t *testing.T) {
	for _, test := range []struct {
		in   string
		want keystore.UpstreamAuthorization
		err  string
	}{
		{"remove", keystore.UpstreamAuthorization{Mode: keystore.UpstreamRemove}, ""},
		{"forward", keystore.UpstreamAuthorization{Mode: keystore.UpstreamForward}, ""},
		{"file:/etc/key", keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: "/etc/key"}, ""},
		{"file:/a:b c", keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: "/a:b c"}, ""},
		{"", keystore.UpstreamAuthorization{}, "want remove, forward or file:PATH"},
		{"default", keystore.UpstreamAuthorization{}, "want remove"},
		{"REMOVE", keystore.UpstreamAuthorization{}, "want remove"},
		{"forward ", keystore.UpstreamAuthorization{}, "want remove"},
		{"File:/etc/key", keystore.UpstreamAuthorization{}, "want remove"},
		{"/etc/key", keystore.UpstreamAuthorization{}, "want remove"},
		{"file:", keystore.UpstreamAuthorization{}, "absolute path"},
		{"file:key", keystore.UpstreamAuthorization{}, "absolute path"},
		{"file:./key", keystore.UpstreamAuthorization{}, "absolute path"},
		{"file: /etc/key", keystore.UpstreamAuthorization{}, "absolute path"},
		{"file://etc/key", keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: "//etc/key"}, ""},
	} {
		got, err := keystore.ParseUpstreamAuthorization(test.in)
		if got != test.want || (err == nil) != (test.err == "") {
			t.Errorf("ParseUpstreamAuthorization(%q) = %+v, %v, want %+v, %q", test.in, got, err, test.want, test.err)
		}
		if err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("ParseUpstreamAuthorization(%q) = %v, want %q", test.in, err, test.err)
		}
		if err == nil && got.String() != test.in {
			t.Errorf("String() = %q, want %q", got, test.in)
		}
	}
	if got := (keystore.UpstreamAuthorization{}).String(); got != "" {
		t.Errorf("String() of the zero value = %q, want none", got)
	}
}
