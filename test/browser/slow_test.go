package browser

import (
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestSlowOnce: a gate that was slow to respond once is asked again within a minute.
func TestSlowOnce(t *testing.T) {
	g := start(t, keyFile)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#connection", "Live")
	const polls = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/status?'))"
	g.Signal(t, syscall.SIGSTOP)
	eval[bool](t, b, "document.dispatchEvent(new Event('visibilitychange'))") // polls now, however long the page would have waited
	goOn := time.AfterFunc(5*time.Second, func() { g.Signal(t, syscall.SIGCONT) })
	defer goOn.Stop()
	testkit.Eventually(t, "slow response", func() bool { return eval[bool](t, b, polls+".some((e) => e.duration > 4000)") })
	n := eval[int](t, b, polls+".length")
	testkit.Eventually(t, "next poll", func() bool { return eval[int](t, b, polls+".length") > n })
	b.quiet(t)
}
