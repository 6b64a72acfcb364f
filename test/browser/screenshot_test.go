package browser

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func digest(secret string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(secret))) }

// madeUpHour puts an hour of requests in place of the seconds for which the gate has run.
const madeUpHour = `(() => {
  const ask = window.fetch
  window.fetch = async (...args) => {
    const res = await ask(...args)
    const s = await res.json()
    if (args[0].startsWith('status/hours')) {
      const seed = (id) => [...id].reduce((n, c) => (n * 31 + c.charCodeAt(0)) % 97, 7)
      for (const list of [s.keys, s.chatflows]) {
        for (const [id, h] of Object.entries(list)) {
          const k = seed(id)
          const of = (f) => [...Array(30)].map((_, i) => Math.max(0, Math.round(f(i))))
          h.requests = of((i) => 40 + k / 3 + 18 * Math.sin((i + k) / 3) + 9 * Math.sin(i * 2.3 + k))
          h.refused = h.refused ? of((i) => (i % 5 === 0 ? 6 : 0)) : undefined
          h.ms = of((i) => 900 + 500 * Math.sin((i + k) / 4))
        }
      }
      return { ok: true, json: async () => s }
    }
    const minute = Math.floor(Date.parse(s.now) / 60e3) * 60e3
    const first = s.history.length
    for (let i = first; i < 60; i++) {
      const requests = Math.round(70 + 25 * Math.sin(i / 7) + 12 * Math.sin(i * 2.1))
      s.history.unshift({
        time: new Date(minute - i * 60e3).toISOString(), requests, refused: i % 4 + (i > 21 && i < 27 ? 18 : 0), failed: i === 40 || i === 41 ? 9 : 0,
        median_ms: 900 + 200 * Math.sin(i / 5), p95_ms: 2600 + 700 * Math.sin(i / 3) + (i === 40 ? 3000 : 0),
      })
    }
    s.started_at = new Date(Date.parse(s.now) - 26 * 3600e3).toISOString()
    return { ok: res.ok, status: res.status, json: async () => s }
  }
  return true
})()`

// TestScreenshot draws the README's picture of the status page from made-up data. `make screenshot` names the
// directory in BROWSER_SCREENSHOT; without it, only what the picture shows is checked.
func TestScreenshot(t *testing.T) {
	soon := time.Now().Add(9 * 24 * time.Hour).UTC().Truncate(12 * time.Hour).Format(time.RFC3339) // 8 days, at any hour
	keys := strings.NewReplacer(
		"secret: "+webSecret, "sha256: "+digest(webSecret), "secret: "+batchSecret, "sha256: "+digest(batchSecret), "secret: "+opsSecret, "sha256: "+digest(opsSecret),
		"secret: statuspage-test-secret-old", "sha256: "+digest("old"), "secret: statuspage-test-secret-trial", "sha256: "+digest("trial"),
		"secret: statuspage-test-secret-next", "sha256: "+digest("next"), "2100-01-01T00:00:00Z", soon, "2200-01-01T00:00:00Z", "2099-01-01T00:00:00Z",
		internal+", keys: [batch]", internal+", name: back-office, keys: [batch, next-year, old-partner, trial]",
	).Replace(keyFile)
	g := start(t, keys)
	for range 41 {
		g.ask(t, predict+support, webSecret, "Hello?", 200)
	}
	for range 17 {
		g.ask(t, predict+docs, "", "Hello?", 200)
	}
	for range 9 {
		g.ask(t, predict+internal, batchSecret, "Hello?", 200)
	}
	for range 5 {
		g.ask(t, predict+support, "", "Hello?", 401)
	}
	for range 3 {
		g.ask(t, predict+internal, "old", "Hello?", 401) // old-partner's, which has expired
	}
	g.ask(t, "/api/v1/chatflows", "", "", 404)
	for range 3 {
		_, stream := g.call(t, predict+support, batchSecret, "stream")
		defer stream.Close()
	}
	g.replace(t, strings.Replace(keys, "name: docs-search,", "name: docs,", 1))
	b := visit(t, g.Admin+"/", look{1200, 1240, "light"})
	eval[bool](t, b, madeUpHour)
	b.shows(t, row("chatflows", "docs"), "17")
	b.shows(t, "#t-open-more", "3 streams")
	b.shows(t, "#alerts", "Key old-partner was refused: key has expired", "Key acme-web expires in 8 d")
	b.shows(t, "#about", "up 26 h")
	b.quiet(t)
	b.screenshot(t, "status.png")
}

// TestConsoleScreenshot draws the picture of the console: a new key with its secret and a snippet.
func TestConsoleScreenshot(t *testing.T) {
	g := startConsole(t, strings.NewReplacer("secret: "+webSecret, "sha256: "+digest(webSecret)).Replace(keyFile))
	b := visit(t, g.Admin+"/console/new-key", look{1100, 1050, "light"})
	b.fill(t, "#token", adminToken)
	b.press(t, "form[action=sign-in] button")
	b.fill(t, "#id", "acme-app")
	b.fill(t, "#owner", "Jane, Acme Inc.")
	eval[bool](t, b, "document.querySelector('[value=\""+support+"\"]').click(); document.querySelector('details').open = true; true")
	b.fill(t, "#requests", "60/1m, 10000/month")
	b.press(t, "form.card button:not([type])")
	b.shows(t, ".facts", "Jane, Acme Inc.", "60/1m requests, 10000/month requests")
	eval[bool](t, b, `document.querySelector('.secret details').open = true
    for (const e of document.querySelectorAll('.secret pre')) e.textContent = e.textContent.replace(/fl_[0-9A-Za-z]{38}/, 'fl_4kWvDqN0sXy1BzT7eRgUoLcJmHaPiF2bZ8nVQ5').replace(/http:.*\/api/, 'https://flows.example.com/api')
    document.querySelector('footer').remove()
    true`)
	b.quiet(t)
	b.screenshot(t, "console.png")
}

// screenshot writes what the browser shows into a directory of BROWSER_SCREENSHOT, if that is set.
func (b *browser) screenshot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("BROWSER_SCREENSHOT")
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	shot = fewerColors(t, shot)
	if len(shot) > 150<<10 {
		t.Errorf("size of the picture = %d bytes, want at most 150 KiB", len(shot))
	}
	if err := os.WriteFile(filepath.Join(dir, name), shot, 0o644); err != nil { //nolint:gosec // it is to be read by all
		t.Fatal(err)
	}
}

// fewerColors returns a picture with at most 256 colors, which takes half of the bytes: the most frequent ones, without
// those that look like a more frequent one.
func fewerColors(t *testing.T, data []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.Color]int{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			count[from.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var palette color.Palette
	for _, c := range colors {
		if len(palette) < 256 && !slices.ContainsFunc(palette, func(p color.Color) bool { return alike(c, p) }) {
			palette = append(palette, c)
		}
	}
	to := image.NewPaletted(from.Bounds(), palette)
	draw.Draw(to, to.Bounds(), from, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// alike reports whether two colors differ by less than 3 % in each channel.
func alike(a, b color.Color) bool {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	const near = 0xffff * 3 / 100
	return max(r1, r2)-min(r1, r2) < near && max(g1, g2)-min(g1, g2) < near && max(b1, b2)-min(b1, b2) < near
}
