package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newGate(t, keyFile, nil).status(t, "")
	var keys []string
	for _, k := range s.Keys {
		keys = append(keys, k.ID+" "+k.Status)
	}
	want := []string{"key-a valid", "key-b valid", "ops valid", "old expired", "off disabled", "new not_yet_valid"}
	if !slices.Equal(keys, want) || s.Generation != 1 || len(s.Chatflows) != 4 || s.Version != "test" || s.LastReload.Result != "success" {
		t.Errorf("status = %+v, want keys %v, generation 1, 4 chatflows", s, want)
	}
}

const predict = "/api/v1/prediction/"

// streamOrFail is an upstream that does what the body of a request says. The stream ends when release is closed.
func streamOrFail(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch string(body) {
		case "stream":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-release
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
}

// chatflow returns the counts of a chatflow.
func (g *gate) chatflow(t *testing.T, id string) admin.CountStatus {
	t.Helper()
	for _, c := range g.status(t, "").Chatflows {
		if c.ID == id {
			return c.CountStatus
		}
	}
	return admin.CountStatus{}
}

// TestStatusCounts counts by chatflow. The only words in the status are those of the key file.
func TestStatusCounts(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, streamOrFail(nil))
	g.post(t, predict+botA, secretA, "")
	g.post(t, predict+botA, secretA, "fail")
	g.post(t, predict+botA, "", "")
	g.post(t, predict+botA, secretB, "")
	g.post(t, predict+unlisted, secretOps, "")
	g.post(t, "/api/v1/chatflows/client-words", "", "")
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 6 })
	s := g.status(t, "")
	all := map[problem.Code]uint64{"missing_key": 1, "key_not_for_chatflow": 1, "not_exposed": 1}
	for _, tt := range []struct {
		name      string
		got, want admin.CountStatus
	}{
		{"bot-a", g.chatflow(t, botA), admin.CountStatus{Requests: 4, Failed: 1, Refused: map[problem.Code]uint64{"missing_key": 1, "key_not_for_chatflow": 1}}},
		{"*", g.chatflow(t, "*"), admin.CountStatus{Requests: 1}},
		{"no request", g.chatflow(t, botC), admin.CountStatus{}},
		{"unlisted", s.Unlisted, admin.CountStatus{Requests: 1, Refused: map[problem.Code]uint64{"not_exposed": 1}}},
		{"all", s.Totals, admin.CountStatus{Requests: 6, Failed: 1, Refused: all}},
	} {
		if requested := tt.want.Requests > 0; tt.got.LastCall.IsZero() == requested {
			t.Errorf("%s: last call = %v, want one: %t", tt.name, tt.got.LastCall, requested)
		}
		if refused := tt.want.Refused != nil; tt.got.LastRefused.IsZero() == refused {
			t.Errorf("%s: last refusal = %v, want one: %t", tt.name, tt.got.LastRefused, refused)
		}
		tt.got.LastCall, tt.got.LastRefused = time.Time{}, time.Time{}
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("counts of %s (-want +got):\n%s", tt.name, diff)
		}
	}
	if r := s.Recent; r.Requests != 6 || !cmp.Equal(r.Refused, all) {
		t.Errorf("recent = %+v, want all that was", r)
	}
	if body := g.ask("GET", "/status", "localhost").Body.String(); strings.Contains(body, "client-words") || strings.Contains(body, unlisted) {
		t.Errorf("status = %s, want none of a client's words in it", body)
	}
}

// TestStatusCountsAcrossReloads: a chatflow that stays in the key file keeps its counts, a new one begins at none, and
// an open stream stays counted while its chatflow is out of the file.
func TestStatusCountsAcrossReloads(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := newGate(t, keyFile, streamOrFail(release))
	reload := func(content string) {
		t.Helper()
		if code, body := g.reload(t, content); code != 200 {
			t.Fatalf("reload = %d %s, want 200", code, body)
		}
	}
	g.post(t, predict+botA, secretA, "")
	g.send(t, predict+botB, secretB, "stream")
	testkit.Eventually(t, "stream", func() bool { return g.chatflow(t, botB).Streams == 1 && g.chatflow(t, botA).Requests == 1 })
	const public = "00000000-0000-4000-8000-00000000000a"
	reload(strings.Replace(keyFile, "  - {id: "+botB+", keys: [key-b]}\n", "", 1) + "  - {id: " + public + ", public: true}\n")
	g.post(t, predict+public, "", "")
	testkit.Eventually(t, "count of a new chatflow", func() bool { return g.chatflow(t, public).Requests == 1 })
	if got := g.chatflow(t, botA).Requests; got != 1 {
		t.Errorf("requests of bot-a after a reload = %d, want 1", got)
	}
	if got := g.status(t, "").Totals.Streams; got != 1 {
		t.Errorf("streams after a reload = %d, want 1", got)
	}
	reload(keyFile)
	if got := g.chatflow(t, botB).Streams; got != 1 {
		t.Errorf("streams of a chatflow that came back = %d, want 1", got)
	}
	close(release)
	testkit.Eventually(t, "end of the stream", func() bool {
		c := g.chatflow(t, botB)
		return c.Streams == 0 && c.Requests == 1 && g.status(t, "").Totals.Streams == 0
	})
}

// TestHoursOfKeys asks for the last hour of keys and chatflows as the page does.
func TestHoursOfKeys(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	g.post(t, predict+botA, secretA, "")
	g.post(t, predict+botA, secretA, "")
	g.post(t, predict+botA, secretB, "")
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 3 })
	body := g.ask("GET", "/status/hours?limit=100", "localhost").Body.String()
	// A slot may end meanwhile, and the counts are then in two slots.
	if !regexp.MustCompile(`"keys":\{"key-a":\{"requests":\[[120,]+\],"ms":\[[0-9,]+\]\},"key-b":\{"requests":\[1(,0)?\],"refused":\[1(,0)?\]\}\},"chatflows":\{"` + botA + `":\{"requests":\[`).MatchString(body) {
		t.Errorf("hours = %s, want those of key-a, key-b and bot-a", body)
	}
	if w := g.ask("GET", "/status/hours?filter=key-b", "localhost"); strings.Contains(w.Body.String(), `"key-a"`) {
		t.Errorf("hours of a filter = %s, want no key-a", w.Body)
	}
	if w := g.ask("GET", "/status/hours?limit=0", "localhost"); w.Code != 400 {
		t.Errorf("hours of a bad query = %d, want 400", w.Code)
	}
}
