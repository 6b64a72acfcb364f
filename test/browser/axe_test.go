package browser

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// axeScript returns the text of axe-core, which axe/install puts into a cache.
var axeScript = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("axe/install").Output()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(strings.TrimSpace(string(out)) + "/node_modules/axe-core/axe.min.js")
	return string(text), err
})

// accessible wants axe-core to find nothing on the page, of what it calls minor to critical.
func accessible(t *testing.T, b *browser, name string) {
	t.Helper()
	script, err := axeScript()
	if err != nil {
		t.Fatalf("axe-core: %v", err)
	}
	eval[bool](t, b, "(() => { "+script+"; return true })()")
	for _, found := range eval[[]string](t, b, `axe.run().then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.impact + ' ' + v.id + ': ' + n.html.slice(0, 200) + ' ' + (n.any[0]?.message ?? ''))))`) {
		t.Errorf("%s: axe: %s", name, found)
	}
}
