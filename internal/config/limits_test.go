package config

import "testing"

// TestReplicas checks values that --limits-replicas accepts. TestMalformedSetting of cmd/flowlatch has those that it
// refuses.
func TestReplicas(t *testing.T) {
	for text, want := range map[string]Replicas{
		"":              {},
		"1":             {Count: 1, Index: 1},
		"3":             {Count: 3, Index: 3},
		"0/3":           {Count: 3, Index: 0},
		"2/3":           {Count: 3, Index: 2},
		"dns:gates.svc": {Name: "gates.svc"},
	} {
		if got, err := replicas(text); err != nil || got != want {
			t.Errorf("replicas(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}
