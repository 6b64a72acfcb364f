package doctor

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/admin"
)

// TestUnreachableUpstream: an upstream that cannot be reached from here is fine only if the gate can reach it.
// Otherwise one that is down would be called closed, and would be open once it is up again.
func TestUnreachableUpstream(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	upstream, err := url.Parse(closed.URL)
	if err != nil {
		t.Fatal(err)
	}
	up, down := true, false
	for name, tt := range map[string]struct {
		up   *bool
		want Result
		text string
	}{
		"the gate reaches it":  {&up, OK, " cannot be reached from here"},
		"nobody does":          {&down, Look, " cannot be reached from here, and the gate cannot reach it either: start it, and run this again"},
		"the gate has not yet": {nil, Look, " cannot be reached from here, and the gate cannot reach it either: start it, and run this again"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{
				Gate: Gate{Upstream: upstream}, target: targets["flowise"],
				status: &admin.Status{Upstream: admin.UpstreamStatus{URL: closed.URL, Up: tt.up}},
			}
			e.aroundTheGate()
			last := e.findings[len(e.findings)-1]
			if last.Check != "around the gate" || last.Result != tt.want || !strings.HasSuffix(last.Text, tt.text) {
				t.Errorf("aroundTheGate() found %+v, want %s, %q", last, tt.want, tt.text)
			}
		})
	}
}
