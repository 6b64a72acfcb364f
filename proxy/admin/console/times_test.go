package console_test

import (
	"strings"
	"testing"
	"time"
)

// TestTimes: the API takes times as the commands do, weeks and days too.
func TestTimes(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	get := func(id string) map[string]any {
		_, key := g.api(t, "GET", "/api/keys/"+id, "", "")
		return key
	}
	wantEnd := func(what string, of map[string]any, want time.Time) {
		t.Helper()
		text, _ := of["not_after"].(string)
		end, err := time.Parse(time.RFC3339, text)
		if off := end.Sub(want); err != nil || off < -2*time.Second || off > time.Minute {
			t.Errorf("%s: it ends at %q, want %v", what, text, want)
		}
	}
	const day = 24 * time.Hour
	now := time.Now()
	for name, tt := range map[string]struct {
		overlap string
		want    time.Time
	}{
		"days": {"7d", now.Add(7 * day)}, "weeks": {"2w", now.Add(14 * day)}, "hours": {"12h", now.Add(12 * time.Hour)}, "both": {"1d12h", now.Add(36 * time.Hour)},
		"not given": {"", now.Add(day)}, "none": {"0", now}, "a day": {"2099-01-31", time.Date(2099, 1, 31, 0, 0, 0, 0, time.UTC)},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		g.do(t, "POST", "/api/keys", `{"id": "`+id+`", "chatflows": ["support"]}`)
		g.do(t, "POST", "/api/keys/"+id+"/rotate", `{"overlap": "`+tt.overlap+`"}`)
		wantEnd("the old secret with the overlap "+tt.overlap, get(id)["secrets"].([]any)[0].(map[string]any), tt.want)
	}
	g.do(t, "POST", "/api/keys", `{"id": "soon", "chatflows": ["support"], "not_after": "90d"}`)
	wantEnd("key until 90d", get("soon"), now.Add(90*day))
}
