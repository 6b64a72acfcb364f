package browser

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	support  = "3f1c2a9e-1111-4222-8333-444455556666"
	docs     = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	internal = "0b7d52aa-2222-4333-8444-555566667777"
	unlisted = "ffffffff-ffff-4fff-8fff-ffffffffffff"

	webSecret   = "statuspage-test-secret-web"
	batchSecret = "statuspage-test-secret-batch"
	opsSecret   = "statuspage-test-secret-ops"
)

const keyFile = `version: 1
keys:
  - {id: acme-web, secret: ` + webSecret + `, not_after: 2100-01-01T00:00:00Z}
  - {id: batch, secret: ` + batchSecret + `}
  - {id: ops, secret: ` + opsSecret + `}
  - {id: old-partner, secret: statuspage-test-secret-old, not_after: 2020-01-01T00:00:00Z}
  - {id: trial, secret: statuspage-test-secret-trial, disabled: true}
  - {id: next-year, secret: statuspage-test-secret-next, not_before: 2200-01-01T00:00:00Z}
chatflows:
  - {id: ` + support + `, name: support-bot, keys: [acme-web, batch]}
  - {id: ` + docs + `, name: docs-search, public: true}
  - {id: ` + internal + `, keys: [batch]}
  - {id: "*", keys: [ops]}
`

// TestLive shows the page while requests come in and the key file changes.
func TestLive(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#connection", "Live")
	b.shows(t, "#about", "version 0.0.0", "up ", "route groups: predict")
	b.shows(t, "#t-upstream", "up")
	b.shows(t, row("chatflows", "support-bot"), support, "acme-web, batch, keys\u00a0of\u00a0*", "never")
	b.shows(t, row("chatflows", "docs-search"), "everyone (public)")
	b.shows(t, row("chatflows", "every chatflow"), "ops")
	b.shows(t, row("keys", "acme-web"), "valid", "never", "2100-01-01 00:00")
	b.shows(t, row("keys", "old-partner"), "expired", "2020-01-01 00:00")
	b.shows(t, row("keys", "trial"), "disabled")
	b.shows(t, row("keys", "next-year"), "not valid yet", "2200-01-01 00:00")
	b.shows(t, "#refusals", "No request was refused since the start.")
	b.shows(t, "#reloads", "applied", "keys added: acme-web, batch")
	b.shows(t, "#settings", g.Keys, "predict", "30/1m", "none: X-Forwarded-For is ignored")
	// The key file has secrets in plain text, of which it warns.
	b.shows(t, "#alerts", "warnings about the key file")

	loaded := eval[float64](t, b, "performance.timeOrigin")
	node := "window.row = document.querySelector('" + strings.ReplaceAll(row("chatflows", "support-bot"), "'", `\'`) + "'); true"
	eval[bool](t, b, node)
	g.ask(t, predict+support, webSecret, "Hello?", 200)
	g.ask(t, predict+support, webSecret, "fail", 500)
	g.ask(t, predict+support, "", "Hello?", 401)
	g.ask(t, predict+support, "statuspage-test-secret-nobody", "Hello?", 401)
	g.ask(t, predict+internal, webSecret, "Hello?", 403)
	g.ask(t, predict+unlisted, opsSecret, "Hello?", 200)
	g.ask(t, "/api/v1/chatflows", "", "", 404)
	status, stream := g.call(t, predict+support, batchSecret, "stream")
	if status != 200 {
		t.Fatalf("a stream = %d, want 200", status)
	}
	cells := func(name string) []string {
		return eval[[]string](t, b, fmt.Sprintf("[...document.querySelector(%q).cells].map((c) => c.innerText)", row("chatflows", name)))
	}
	testkit.Eventually(t, "the counts of the first requests", func() bool {
		return strings.Contains(b.text(t, row("chatflows", "not listed")), "not_exposed 1")
	})
	c := cells("support-bot")
	if c[2] != "4" || !strings.HasPrefix(c[3], "2\n") || !strings.Contains(c[3], "missing_key 1") || !strings.Contains(c[3], "invalid_key 1") || c[4] != "1" || c[5] != "1" || strings.Contains(c[6], "never") {
		t.Errorf("support-bot = %q, want 4 requests, 2 refused, 1 failed, 1 stream", c)
	}
	if c := cells(internal); c[2] != "1" || !strings.Contains(c[3], "key_not_for_chatflow 1") {
		t.Errorf("internal = %q, want 1 request that was refused", c)
	}
	if c := cells("every chatflow"); c[2] != "1" || !strings.HasPrefix(c[3], "0") {
		t.Errorf("* = %q, want 1 request", c)
	}
	b.shows(t, "#alerts", "Key acme-web was refused: key is not listed for the chatflow")
	b.shows(t, "#t-refused-more", "missing_key 1")
	b.shows(t, "#refusals", "404 not_exposed", "403 key_not_for_chatflow", "key is not listed for the chatflow", "POST prediction", "support-bot", "127.0.0.1")
	b.shows(t, "#alerts", "1 response with a status of 500 or above from the upstream in the last")
	b.shows(t, row("keys", "acme-web"), " ago")
	b.shows(t, "#t-open-more", "1 stream")
	stream.Close()
	testkit.Eventually(t, "the end of the stream", func() bool { return cells("support-bot")[5] == "0" })

	g.replace(t, strings.Replace(keyFile, "id: batch,", "id: batch, not_after: 2090-01-01T00:00:00Z,", 1))
	b.shows(t, "#reloads", "keys changed: batch")
	b.shows(t, row("keys", "batch"), "2090-01-01", "unchanged since generation 2")
	b.shows(t, row("keys", "acme-web"), "unchanged since generation 1")
	if again := eval[float64](t, b, "performance.timeOrigin"); again != loaded {
		t.Error("the page was reloaded")
	}
	if !eval[bool](t, b, "window.row.isConnected") {
		t.Error("the row of support-bot was replaced, want it to stay the same element")
	}
	for _, secret := range []string{webSecret, batchSecret, opsSecret, "statuspage-test-secret"} {
		if strings.Contains(eval[string](t, b, "document.documentElement.outerHTML"), secret) {
			t.Errorf("the page has the secret %s in it, want none", secret)
		}
	}
	b.quiet(t)
	b.picture(t, "live")
}

// TestUpstreamRefuses: a chatflow for which the upstream wants a key of its own stays an alert until a request succeeds.
func TestUpstreamRefuses(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	g.ask(t, predict+support, webSecret, "locked", 401)
	b.shows(t, "#alerts", "The upstream refuses requests for support-bot that the gate allowed", "the upstream was sent no credential, and wants the key")
	g.ask(t, predict+internal, batchSecret, "locked", 401)
	b.shows(t, "#alerts", "The upstream refuses requests for 2 chatflows that the gate allowed", "support-bot, prediction: 401", internal+", prediction: 401")
	g.ask(t, predict+support, webSecret, "Hello?", 200)
	g.ask(t, predict+internal, batchSecret, "Hello?", 200)
	testkit.Eventually(t, "end of the alert", func() bool { return !strings.Contains(b.text(t, "#alerts"), "The upstream refuses") })
	b.quiet(t)
}

// TestStrangers: refused strangers need nobody, so they are no alert; a known key that is refused is.
func TestStrangers(t *testing.T) {
	g := start(t, strings.NewReplacer("secret: "+webSecret, "sha256: "+digest(webSecret), "secret: "+batchSecret, "sha256: "+digest(batchSecret), "secret: "+opsSecret, "sha256: "+digest(opsSecret),
		"secret: statuspage-test-secret-old", "sha256: "+digest("statuspage-test-secret-old"), "  - {id: trial, secret: statuspage-test-secret-trial, disabled: true}\n", "",
		"  - {id: next-year, secret: statuspage-test-secret-next, not_before: 2200-01-01T00:00:00Z}\n", "", "keys: [ops]", "keys: [ops, old-partner]").Replace(keyFile))
	for range 5 {
		g.ask(t, predict+support, "", "Hello?", 401)
	}
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#t-refused", "5")
	b.shows(t, "#alerts", "No alerts")
	const amber = "document.querySelectorAll('.warn, .bad').length"
	if n := eval[int](t, b, amber); n > 0 {
		t.Errorf("amber or red = %d, want none", n)
	}
	b.picture(t, "strangers")
	for range 2 {
		g.ask(t, predict+support, "statuspage-test-secret-old", "Hello?", 401)
	}
	b.shows(t, "#alerts", "Key old-partner was refused: key has expired", "2 requests, the last", "from 127.0.0.1")
	b.shows(t, row("keys", "old-partner"), "expired, still calls", "invalid_key 2")
	b.picture(t, "known")
	b.quiet(t)
}

// TestSecrets: of a key with several secrets, the page says which ones are in use.
func TestSecrets(t *testing.T) {
	g := start(t, "version: 1\nkeys:\n  - {id: acme-web, secrets: [{sha256: "+digest(webSecret)+"}, {sha256: "+digest(batchSecret)+"}]}\nchatflows:\n  - {id: "+support+", keys: [acme-web]}\n")
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, row("keys", "acme-web"), "2 secrets: ", " not used, ", "since generation 1")
	g.ask(t, predict+support, batchSecret, "Hello?", 200)
	testkit.Eventually(t, "use of the second secret", func() bool {
		return secondUsed.MatchString(b.text(t, row("keys", "acme-web")))
	})
	b.picture(t, "secrets")
	b.quiet(t)
}

var secondUsed = regexp.MustCompile(`2 secrets: [0-9a-f]{8} not used, [0-9a-f]{8} used .*(ago|just now)`)

// TestTrouble shows the page while the key file is invalid, the upstream is gone and, at last, the gate is.
func TestTrouble(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#t-file", "valid")
	g.replace(t, keyFile+"  - {id: "+unlisted+", keys: [nobody]}\n")
	b.shows(t, "#alerts", "Key file invalid: the last good keys stay active", "keys.yaml:14:", "nobody")
	b.shows(t, "#t-file", "invalid")
	b.shows(t, "#reloads", "invalid")
	g.upstream.Close()
	g.ask(t, predict+docs, "", "Hello?", 502)
	b.shows(t, "#alerts", "The upstream cannot be reached", "connection refused")
	if alerts := b.text(t, "#alerts"); strings.Contains(alerts, "from the upstream in the last") {
		t.Errorf("alerts = %q, want the gate's own 502 not counted as the upstream's", alerts)
	}
	b.shows(t, "#t-upstream", "down")
	if title := eval[string](t, b, "document.title"); !strings.HasPrefix(title, "Key file invalid") {
		t.Errorf("title = %q, want the worst first", title)
	}
	order := eval[[]string](t, b, "[...document.querySelectorAll('#alerts strong')].map((e) => e.textContent)")
	if len(order) < 3 || order[0] != "Key file invalid: the last good keys stay active" || order[1] != "The upstream cannot be reached" {
		t.Errorf("alerts = %q, want the key file and the upstream first", order)
	}
	b.picture(t, "trouble-wide")
	b.appear(t, narrow.dark())
	b.picture(t, "trouble-narrow-dark")
	checkContrast(t, b, "trouble, dark")
	b.appear(t, wide)
	checkContrast(t, b, "trouble, light")
	b.quiet(t) // before there is an error on purpose
	g.Signal(t, os.Kill)
	b.shows(t, "#connection", "No response from the gate since", "the data is from")
	b.shows(t, "#alerts", "Key file invalid")
	checkContrast(t, b, "lost")
	b.picture(t, "lost")
}

// TestHidden: the page does not poll while it is hidden.
func TestHidden(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#connection", "Live")
	const polls = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/status?')).length"
	n := eval[int](t, b, polls)
	testkit.Eventually(t, "another poll", func() bool { return eval[int](t, b, polls) > n })
	eval[bool](t, b, "Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true }); window.away = true; document.dispatchEvent(new Event('visibilitychange')); true")
	g.ask(t, predict+support, webSecret, "Hello?", 200)
	n = eval[int](t, b, polls)
	// One request may be on its way; then none follows in the time of two.
	if got := eval[int](t, b, "new Promise((done) => setTimeout(() => done("+polls+"), 5000))"); got > n+1 {
		t.Errorf("polls of a hidden page in 5 s = %d, want none", got-n)
	}
	eval[bool](t, b, "window.away = false; document.dispatchEvent(new Event('visibilitychange')); true")
	testkit.Eventually(t, "the request", func() bool {
		return strings.Contains(b.text(t, row("chatflows", "support-bot")), "\n1\n")
	})
	b.quiet(t)
}

// TestEmpty has a gate without keys and without requests.
func TestEmpty(t *testing.T) {
	g := start(t, "version: 1\nchatflows:\n  - {id: "+docs+", public: true}\n")
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#alerts", "The key file has no keys")
	b.shows(t, "#keys", "The key file has no keys; `flowlatch key new` makes one.")
	b.shows(t, row("chatflows", docs), "everyone (public)", "never")
	b.picture(t, "empty-wide")
	b.appear(t, narrow)
	noOverflow(t, b, "empty")
	b.picture(t, "empty-narrow")
	b.quiet(t)
}
