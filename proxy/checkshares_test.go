package proxy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestWarnOfShares has limits that cannot be divided among three gates.
func TestWarnOfShares(t *testing.T) {
	s, err := keystore.Parse("keys.yaml", []byte(`version: 1
keys:
  - {id: a, sha256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, limits: {requests: [3/1s, 2/1h, 1/day], concurrent: 2}}
chatflows:
  - {id: x, keys: [a], limits: {concurrent: 2, enforce: false}}
  - {id: y, public: true, limits: {bytes: 2GiB/day, per_client: {concurrent: 1}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	const why = " is less than the 3 of --limits-replicas, so gates without a share refuse every request; raise it, or count with --limits-redis"
	want := []string{
		`keys.yaml:3: key "a": limit "concurrent: 2"` + why,
		`keys.yaml:3: key "a": limit "requests: 2/1h"` + why,
		`keys.yaml:3: key "a": limit "requests: 1/day"` + why,
		`keys.yaml:6: chatflow "y", per_client: limit "concurrent: 1"` + why,
	}
	s.Warnings = nil
	proxy.WarnOfShares(s, 1)
	if s.Warnings != nil {
		t.Errorf("warnings for one gate = %q, want none", s.Warnings)
	}
	proxy.WarnOfShares(s, 3)
	if diff := cmp.Diff(want, s.Warnings); diff != "" {
		t.Errorf("warnings for three gates (-want +got):\n%s", diff)
	}
}
