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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func digest(secret string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(secret))) }

// TestScreenshot shows the page with the made-up data of the README's picture. `make screenshot` sets BROWSER_SCREENSHOT, the
// file to which it writes the picture.
func TestScreenshot(t *testing.T) {
	soon := time.Now().Add(9 * 24 * time.Hour).UTC().Format("2006-01-02T00:00:00Z")
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
	g.ask(t, predict+internal, webSecret, "Hello?", 403)
	g.ask(t, "/api/v1/chatflows", "", "", 404)
	for range 3 {
		_, stream := g.call(t, predict+support, batchSecret, "stream")
		defer stream.Close()
	}
	g.replace(t, strings.Replace(keys, "name: docs-search,", "name: docs,", 1))
	b := visit(t, g.Admin+"/", look{1200, 1180, "light"})
	b.shows(t, row("chatflows", "docs"), "17")
	b.shows(t, "#t-open", "3 streams")
	b.shows(t, "#alerts", "1 key expires within 14 days", "7 requests refused")
	b.quiet(t)
	file := os.Getenv("BROWSER_SCREENSHOT")
	if file == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	shot = fewerColours(t, shot)
	if len(shot) > 150<<10 {
		t.Errorf("the picture has %d bytes, want at most 150 KiB", len(shot))
	}
	if err := os.WriteFile(file, shot, 0o644); err != nil { //nolint:gosec // it is to be read by all
		t.Fatal(err)
	}
}

// fewerColours returns a picture with its 256 most frequent colours, which takes half of the bytes.
func fewerColours(t *testing.T, data []byte) []byte {
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
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	to := image.NewPaletted(from.Bounds(), colours[:min(len(colours), 256)])
	draw.Draw(to, to.Bounds(), from, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
