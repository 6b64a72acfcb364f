//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// dashboardKeys makes and deletes a key in Flowise itself. Flowise 2.2.8 keeps its keys in a file, which flowlatch reads; 3.x
// keeps them in its database.
func dashboardKeys(t *testing.T, l *lab) {
	if !l.flowise.is2() {
		t.Log("Flowise 3.x has no file of keys")
		return
	}
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	name := unique()
	writeFile(t, keys, fmt.Sprintf(`version: 1
flowise_api_keys: %s
chatflows:
  - id: %s
    keys: [%s]
`, l.flowise.data, l.flows.fnOpen, name))
	g := l.serve(t, keys)

	var all []struct{ ID, KeyName, APIKey string }
	l.flowise.api(t, http.MethodPost, "/apikey", map[string]string{"keyName": name}, &all)
	var id, secret string
	for _, k := range all {
		if k.KeyName == name {
			id, secret = k.ID, k.APIKey
		}
	}
	if secret == "" {
		t.Fatalf("Flowise made no key %q among %d", name, len(all))
	}
	l.secrets = append(l.secrets, secret)
	status := func() int { return send(t, g.URL, ask(l.flows.fnOpen, unique(), secret)).status }
	testkit.EventuallyWithin(t, 3*time.Second, "the key made in the dashboard opens the chatflow", func() bool { return status() == http.StatusOK })
	l.flowise.api(t, http.MethodDelete, "/apikey/"+id, nil, nil)
	testkit.EventuallyWithin(t, 3*time.Second, "the key deleted in the dashboard is refused", func() bool { return status() == http.StatusUnauthorized })
}
