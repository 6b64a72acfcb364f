package stats

import (
	"testing"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestCodesAreCounted checks that there is a counter for each code of a response.
func TestCodesAreCounted(t *testing.T) {
	t.Parallel()
	if n := len(problem.Codes()); n != codes {
		t.Errorf("codes of responses = %d, counters = %d", n, codes)
	}
}
