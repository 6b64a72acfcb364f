package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

func TestCheckBrowser(t *testing.T) {
	flowise, err := route.PresetNamed("flowise")
	if err != nil {
		t.Fatal(err)
	}
	const server, groups, exposed = "addresses of single machines", "groups has none", "no route is exposed"
	for _, tt := range []struct {
		name, fields, expose string
		want                 string // in the only warning; empty if there is none
	}{
		{"anywhere", "", "predict", ""},
		{"the server", "from: [203.0.113.7]", "predict", server},
		{"servers", `from: [203.0.113.7/32, "2001:db8::7"]`, "predict", server},
		{"this machine", `from: [127.0.0.0/8, "::1"]`, "predict", server},
		{"the server and an office", "from: [203.0.113.7, 198.51.100.0/24]", "predict", ""},
		{"an intranet", "from: [10.0.0.0/8]", "predict", ""},
		{"groups", "groups: [predict, upsert]", "predict,upsert", ""},
		{"groups of programs", "groups: [upsert]", "predict,upsert", groups},
		{"groups that are not exposed", "groups: [widget]", "predict", groups},
		{"nothing is exposed", "groups: [upsert], from: [203.0.113.7]", "upsert", exposed},
	} {
		file := fmt.Sprintf("version: 1\nkeys:\n  - {id: a, sha256: %s, browser: {origins: [\"https://www.example.com\"]}, %s}\nchatflows:\n  - {id: x, keys: [a]}\n",
			strings.Repeat("a", 64), tt.fields)
		s, err := keystore.Parse("keys.yaml", []byte(file))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		CheckBrowser(s, &Options{Routes: flowise.Routes, Expose: strings.Split(tt.expose, ",")})
		got := strings.Join(s.Warnings, "\n")
		if tt.want == "" && got != "" || tt.want != "" && (len(s.Warnings) != 1 || !strings.HasPrefix(got, `keys.yaml:3: key "a": browser: `) || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: warnings %q, want %q", tt.name, s.Warnings, tt.want)
		}
	}
}
