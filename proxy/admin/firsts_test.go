package admin

import (
	"math"
	"testing"
)

// TestFirstsWithoutBound has the largest possible limit. Nothing may be sorted before all values have been added, or a
// million keys would be sorted a million times.
func TestFirstsWithoutBound(t *testing.T) {
	t.Parallel()
	f := firsts[int]{limit: math.MaxInt}
	for i := range 1000 {
		f.add(i, int64(-i), "")
	}
	if f.kept[0].value != 0 {
		t.Error("the first value added has moved, want it to stay until the list is asked for")
	}
	if list := f.list(); len(list) != 1000 || list[0].value != 999 {
		t.Errorf("list has %d, the first of which is %d, want 1000 in order", len(list), list[0].value)
	}
}
