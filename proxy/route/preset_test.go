package route

import (
	"net/http"
	"testing"
)

// TestPresets checks that the presets are complete: a gate can be made of each, and there is none without a name.
func TestPresets(t *testing.T) {
	for _, p := range Presets() {
		if got, err := PresetNamed(p.Name); err != nil || got.Runner != p.Runner {
			t.Errorf("PresetNamed(%q) = %v, %v, want that of %s", p.Name, got, err, p.Runner)
		}
		if p.IDs == "" || http.CanonicalHeaderKey(p.CredentialHeader) != p.CredentialHeader {
			t.Errorf("preset %s: IDs %q, credential header %q", p.Name, p.IDs, p.CredentialHeader)
		}
		for _, name := range append(p.Headers, p.HeaderPrefixes...) {
			if http.CanonicalHeaderKey(name) != name {
				t.Errorf("preset %s: header %q is not in the form in which it is compared", p.Name, name)
			}
		}
		if err := ValidateExpose(p.Expose, p.Routes); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
		if _, err := NewTable(p.Routes); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
	}
	if _, err := PresetNamed(""); err == nil {
		t.Error("PresetNamed(\"\") = nil error, want one")
	}
}
