package browser

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// chromium is the path of the browser.
var chromium string

func TestMain(m *testing.M) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			os.Exit(testkit.Main(m))
		}
	}
	fmt.Fprintln(os.Stderr, "Chromium is not installed (Debian: apt-get install chromium)")
	if os.Getenv("CI") != "" {
		os.Exit(1)
	}
}
