package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestTargets checks that there is a target for every preset, and that no gate may let its requests through: each
// spelling differs from the path that calls a chatflow, and secret is among the closed paths.
func TestTargets(t *testing.T) {
	for _, p := range route.Presets() {
		target := targets[p.Name]
		if target == nil {
			t.Errorf("targets[%q] = nil, want one for every preset", p.Name)
			continue
		}
		spellings := target.spellings()
		if len(spellings) < 40 || slices.Contains(spellings, target.call()) {
			t.Errorf("preset %s: %d spellings, the right one among them: %t; want at least 40, without it", p.Name, len(spellings), slices.Contains(spellings, target.call()))
		}
		for _, s := range spellings {
			if strings.ContainsAny(s, " \t\r\n") || strings.Contains(s, "<D>") {
				t.Errorf("preset %s: spelling %q cannot be part of a request line", p.Name, s)
			}
		}
		if !slices.Contains(target.closed, target.secret) {
			t.Errorf("preset %s: %s is not among the closed paths", p.Name, target.secret)
		}
	}
}
