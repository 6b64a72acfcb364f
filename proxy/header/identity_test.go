package header

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestIdentityTable compares the table of headers that claim an identity with the code, in both directions.
func TestIdentityTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/routes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "### Headers that claim an identity")
	table, _, _ = strings.Cut(table, "`Upgrade` is forwarded")
	code, err := os.ReadFile("identity.go")
	if err != nil {
		t.Fatal(err)
	}
	inCode := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([A-Z][A-Za-z0-9-]+)"`).FindAllStringSubmatch(string(code), -1) {
		inCode[m[1]] = false
	}
	for _, m := range regexp.MustCompile("`([A-Z][A-Za-z0-9-]+)(\\*?)`").FindAllStringSubmatch(table, -1) {
		name := http.CanonicalHeaderKey(m[1])
		for c := range inCode {
			if c == name || m[2] == "*" && strings.HasPrefix(c, name) {
				inCode[c] = true
			}
		}
		if m[2] == "*" {
			name += "x"
		}
		if !dropsFromRequest(name) {
			t.Errorf("docs/routes.md says that %s%s is removed, and it is not", m[1], m[2])
		}
	}
	for name, documented := range inCode {
		if !documented && !strings.HasPrefix(name, ownPrefix) && !slices.Contains([]string{"X-", "Key-Id", "Chatflow"}, name) {
			t.Errorf("%s is removed, and docs/routes.md does not say so", name)
		}
	}
}
