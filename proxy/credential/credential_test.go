package credential_test

import (
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/credential"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestRead reads files for an upstream that takes Authorization, and for one that takes a token in a header of its own.
// An empty want means an error. TestUpstreamAuthorization in package proxy tests through the gate how files are read
// again.
func TestRead(t *testing.T) {
	for name, tt := range map[string]struct{ content, flowise, langflow string }{
		"token":                   {"a-token\n", "Bearer a-token", "a-token"},
		"scheme and token":        {"Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz", ""},
		"blanks around":           {" \r\n a-token\t\n", "Bearer a-token", "a-token"},
		"empty":                   {"\n", "", ""},
		"two blanks":              {"Basic  dXNlcjpwYXNz", "", ""},
		"three words":             {"Basic a b", "", ""},
		"two lines":               {"a-token\nanother", "", ""},
		"token with a character":  {"a;token", "", ""},
		"scheme with a character": {"Ba\x00sic a-token", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := testkit.WriteFile(t, "credential", tt.content)
			for _, upstream := range []struct {
				preset *route.Preset
				want   string
			}{{route.Flowise(), tt.flowise}, {route.Langflow(), tt.langflow}} {
				got, err := credential.Read(upstream.preset, path)
				if got != upstream.want || (err == nil) != (upstream.want != "") {
					t.Errorf("Read(%s, %q) = %q, %v, want %q", upstream.preset.Name, tt.content, got, err, upstream.want)
				}
			}
		})
	}
}
