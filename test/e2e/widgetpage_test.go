//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scenario is what the page is to do with one version of the widget.
type scenario struct {
	Widget   string            `json:"widget"`
	Gate     string            `json:"gate"`
	Key      string            `json:"key"`              // empty for none
	Script   map[string]string `json:"script,omitempty"` // data attributes of /-/widget.js; without them the page starts the widget itself
	Other    string            `json:"other,omitempty"`  // page of another origin
	Held     string            `json:"held,omitempty"`   // question whose response stays open
	Flows    map[string]string `json:"flows"`
	Features []string          `json:"features"`
}

// result is what the widget sent and showed.
type result struct {
	Feature string
	Calls   []struct {
		Method, Path string
		Status       int
		Key          bool
	}
	Text  string // what was shown last
	Error string
}

// String lists the requests.
func (r result) String() string {
	var b strings.Builder
	for _, c := range r.Calls {
		fmt.Fprintf(&b, "%s %s %d", c.Method, c.Path, c.Status)
		if c.Key {
			b.WriteString(" with the key")
		}
		b.WriteString("; ")
	}
	return fmt.Sprintf("%sshown %q, %s", b.String(), r.Text, r.Error)
}

// widgetPage is a web page with the chat widget, in a browser.
type widgetPage struct {
	url       string
	scenarios chan scenario
	results   chan result
}

// startPage opens the page in Chromium. Its server has further paths, if add is not nil.
func startPage(t *testing.T, add func(*http.ServeMux)) *widgetPage {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	p := &widgetPage{scenarios: make(chan scenario), results: make(chan result, 100)}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("testdata/widget")))
	mux.HandleFunc("GET /flowise-embed/{file}", func(w http.ResponseWriter, r *http.Request) {
		version := strings.TrimSuffix(r.PathValue("file"), ".js")
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, filepath.Join(cache, "flowise-embed-"+filepath.Base(version), "package", "dist", "web.js"))
	})
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case s := <-p.scenarios:
			_ = json.NewEncoder(w).Encode(s)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		var got result
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			got.Error = err.Error()
		}
		p.results <- got
	})
	if add != nil {
		add(mux)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	p.url = server.URL
	start(t, "chromium", chromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--mute-audio", "--autoplay-policy=no-user-gesture-required",
		"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--remote-debugging-port=0", p.url+"/page.html")
	return p
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is not installed (Debian: apt-get install chromium)")
	return ""
}

// use has the page go through a scenario, and returns a result for each feature.
func (p *widgetPage) use(t *testing.T, s scenario) (results []result) {
	t.Helper()
	limit := time.After(time.Duration(len(s.Features)+1) * time.Minute)
	select {
	case p.scenarios <- s:
	case <-limit:
		t.Fatal("the page does not ask for a scenario; does Chromium run?")
	}
	for {
		select {
		case r := <-p.results:
			switch {
			case r.Error != "" && r.Feature == "":
				t.Fatalf("the page failed: %s", r.Error)
			case r.Feature == "":
				return results
			}
			results = append(results, r)
		case <-limit:
			t.Fatalf("the page reported %d of %d features", len(results), len(s.Features))
		}
	}
}
