package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// healthGate returns a gate before an upstream, with one public chatflow. Nothing serves the gate.
func healthGate(t *testing.T, upstream http.HandlerFunc, timeout time.Duration) (p *Proxy, log *testkit.Buffer, addr string) {
	t.Helper()
	u := testkit.Upstream(t, upstream)
	store, err := keystore.Open(testkit.WriteFile(t, "keys.yaml", "version: 1\nchatflows: [{id: "+bubbleBot+", public: true}]\n"), keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(u.URL)
	if err != nil {
		t.Fatal(err)
	}
	log = &testkit.Buffer{}
	if p, err = New(Options{Store: store, Upstream: to, Log: zerolog.New(log), UpstreamTimeout: timeout}); err != nil {
		t.Fatal(err)
	}
	return p, log, to.Host
}

func predict(p *Proxy) int {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/prediction/"+bubbleBot, strings.NewReader("{}")))
	return w.Code
}

// TestUpstreamThatDoesNotRespond has an upstream that accepts connections and does nothing else, like a stopped process.
// The timeout of a request marks it as down, connections that succeed do not change that, and a response does.
func TestUpstreamThatDoesNotRespond(t *testing.T) {
	t.Parallel()
	var stopped atomic.Bool
	stopped.Store(true)
	p, log, addr := healthGate(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if stopped.Load() {
			<-r.Context().Done()
		}
	}, 50*time.Millisecond)
	if p.tryUpstream(t.Context(), addr); !p.Health().Up {
		t.Fatalf("health = %+v before any request, want up: connections can be opened", p.Health())
	}
	if got := predict(p); got != http.StatusGatewayTimeout {
		t.Fatalf("response = %d, want 504", got)
	}
	if h := p.Health(); h.Up || !errors.Is(h.Err, errNoResponse) || !strings.Contains(log.String(), "the upstream does not respond") {
		t.Errorf("health after a timeout = %+v, log %s; want not up, for want of a response", h, log)
	}
	p.health.connected()
	if h := p.Health(); h.Up {
		t.Errorf("health after a connection = %+v, want not up: nothing responded", h)
	}
	stopped.Store(false)
	if p.tryUpstream(t.Context(), addr); !p.Health().Up {
		t.Errorf("health once it responds again = %+v, want up without a client's request", p.Health())
	}
}

// TestOneSlowChatflow has one request that times out while others get responses. The upstream is up.
func TestOneSlowChatflow(t *testing.T) {
	t.Parallel()
	p, _, _ := healthGate(t, func(http.ResponseWriter, *http.Request) {}, time.Hour)
	if got := predict(p); got != http.StatusOK {
		t.Fatalf("response = %d, want 200", got)
	}
	p.health.timedOut(time.Hour)
	if h := p.Health(); !h.Up {
		t.Errorf("health = %+v, want up: another request got a response within the hour", h)
	}
	p.health.timedOut(0)
	if h := p.Health(); h.Up {
		t.Error("health = up, want not up: no request got a response since")
	}
}

// TestNewestReason has an upstream that is down for one reason, and then for another.
func TestNewestReason(t *testing.T) {
	t.Parallel()
	changes := 0
	h := health{changed: func(Health) { changes++ }}
	first, second := errors.New("connection refused"), errors.New("no such host")
	h.missed(first)
	since := h.get().Since
	h.missed(second)
	if got := h.get(); !errors.Is(got.Err, second) || !got.Since.Equal(since) || changes != 1 {
		t.Errorf("health = %+v after %d changes, want the second reason, down since %v, one change", got, changes, since)
	}
	h.timedOut(0)
	if got := h.get(); !errors.Is(got.Err, errNoResponse) {
		t.Errorf("health = %+v, want the newest reason", got)
	}
	h.reached()
	if got := h.get(); !got.Up || got.Err != nil || changes != 2 {
		t.Errorf("health = %+v after %d changes, want up without a reason, and two", got, changes)
	}
}
