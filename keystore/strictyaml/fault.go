// Package strictyaml reads a YAML or JSON document node by node and collects every fault with its line. A decoder
// into structs would stop at the first fault, and would not know the lines. The key file and the settings file
// are read with it; what their fields mean is left to the packages that read them.
package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file: where, what, and what to do about it.
type Fault struct {
	File string
	Line int // from 1; 0 for the file as a whole
	Text string
	// Across says that the file contradicts another one, or lacks what another may have.
	Across bool
}

func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// Faults is everything that is wrong in a file, in the order of the lines.
type Faults []Fault

// Error has a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Sort orders the faults by line.
func (f Faults) Sort() {
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
}
