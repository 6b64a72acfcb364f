package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// browser is a tab that shows the page of a gate.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	messages []string // of the console, the log (with violations of the policy) and dialogs
}

// look is the size and colors in which a tab shows pages.
type look struct {
	width, height int64
	scheme        string // light or dark
}

var (
	wide   = look{1280, 900, "light"}
	narrow = look{360, 740, "light"}
)

func (l look) dark() look { l.scheme = "dark"; return l }

// visit opens a page in a browser of its own.
func visit(t *testing.T, url string, l look) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	b := &browser{}
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(b.ctx); cancel() }) // waits for the browser to end
	if err := chromedp.Listen(b.ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	b.appear(t, l)
	b.do(t, chromedp.Navigate(url))
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			b.messages = append(b.messages, fmt.Sprintf("console.%s: %s", e.Type, a.Value))
		}
	case *runtime.EventExceptionThrown:
		b.messages = append(b.messages, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		b.messages = append(b.messages, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		b.messages = append(b.messages, "dialog: "+e.Message)
	}
}

// quiet wants no messages of the browser, such as violations of the policy.
func (b *browser) quiet(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		t.Errorf("message of the browser = %s, want none", m)
	}
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// appear sets size and colors.
func (b *browser) appear(t *testing.T, l look) {
	t.Helper()
	var options []chromedp.EmulateViewportOption
	if l.width < 500 {
		options = append(options, chromedp.EmulateMobile)
	}
	b.do(t, chromedp.EmulateViewport(l.width, l.height, options...))
	scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, scheme); err != nil {
		t.Fatal(err)
	}
}

// leave does what makes the browser go to another page, and waits until that is loaded. Until then an evaluation may find
// no page, which is an error. An evaluation that makes the browser leave does so in a setTimeout, to have returned before.
func (b *browser) leave(t *testing.T, leave func()) {
	t.Helper()
	before := eval[float64](t, b, "performance.timeOrigin")
	leave()
	testkit.Eventually(t, "next page", func() bool {
		state, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf("performance.timeOrigin !== %f ? document.readyState : ''", before)))
		return err == nil && state == "complete"
	})
}

// eval evaluates an expression in the page, which must not be about to be replaced by another: see leave.
func eval[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text returns the visible text of an element.
func (b *browser) text(t *testing.T, selector string) string {
	t.Helper()
	return eval[string](t, b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

// shows waits until an element has a text.
func (b *browser) shows(t *testing.T, selector string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		var got string
		if !testkit.Poll(testkit.Timeout, func() bool {
			got = b.text(t, selector)
			return strings.Contains(got, want)
		}) {
			t.Fatalf("%s = %q, want %q in it", selector, got, want)
		}
	}
}

// row selects the row of a table in which the first cell has a text as its title.
func row(table, title string) string {
	return fmt.Sprintf(`#%s tbody tr:has(th bdi[title=%q])`, table, title)
}

// picture writes what the browser shows into the directory STATUSPAGE_PICTURES, if that is set, for people to look at.
func (b *browser) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("STATUSPAGE_PICTURES")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+name+".png", png, 0o600); err != nil {
		t.Fatal(err)
	}
}
