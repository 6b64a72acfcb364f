package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestLimits shows what keys have used of their limits, and that Redis does not answer.
func TestLimits(t *testing.T) {
	keys := strings.NewReplacer(
		"secret: "+webSecret, "secret: "+webSecret+", limits: {requests: [100/1s, 10/month], bytes: 2GiB/month, concurrent: 4}",
		"secret: "+batchSecret, "secret: "+batchSecret+", limits: {requests: 3/day, enforce: false}",
	).Replace(keyFile)
	g := start(t, keys, "--limits-redis", "unix:///nonexistent/redis", "--limits-fallback", "local")
	for range 8 {
		g.ask(t, predict+support, webSecret, "Hello?", 200)
	}
	for range 4 {
		g.ask(t, predict+support, batchSecret, "Hello?", 200)
	}
	for range 4 {
		_, stream := g.call(t, predict+internal, batchSecret, "stream")
		defer stream.Close()
	}
	_, stream := g.call(t, predict+support, webSecret, "stream")
	defer stream.Close()
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#alerts", "Redis does not answer: limits hold by --limits-fallback")
	b.shows(t, row("keys", "acme-web"), "1 of 4 at once", "9 of 10 requests this month", " of 2.0 GiB this month")
	b.shows(t, row("keys", "batch"), "3 of 3 requests today, not enforced")
	for _, c := range []struct{ key, want string }{{"acme-web", "1/4 9/10"}, {"batch", "3/3"}, {"ops", ""}} {
		meters := fmt.Sprintf("[...document.querySelectorAll(%q)].slice(0, 2).map((m) => m.value + '/' + m.max).join(' ')", row("keys", c.key)+" meter")
		if got := eval[string](t, b, meters); got != c.want {
			t.Errorf("bars of %s = %q, want %q", c.key, got, c.want)
		}
	}
	for _, l := range []look{{390, 900, "light"}, {800, 900, "dark"}, {1152, 900, "light"}, {1280, 900, "light"}, {1920, 900, "dark"}} {
		name := fmt.Sprintf("limits-%d-%s", l.width, l.scheme)
		b.appear(t, l)
		noOverflow(t, b, name)
		checkContrast(t, b, name)
		b.picture(t, name)
	}
	// A key that has no limits any more shows none.
	g.replace(t, keyFile)
	testkit.Eventually(t, "table of keys without bars", func() bool { return eval[float64](t, b, "document.querySelectorAll('meter').length") == 0 })
	b.quiet(t)
}
