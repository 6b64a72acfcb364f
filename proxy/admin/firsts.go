package admin

import (
	"cmp"
	"slices"
	"strings"
)

// firsts keeps the first few of many values, without keeping or sorting all of them.
type firsts[T any] struct {
	limit    int
	reversed bool // the last ones come first
	kept     []ranked[T]
}

type ranked[T any] struct {
	value T
	rank  int64
	name  string // decides between equal ranks
}

func (f *firsts[T]) add(v T, rank int64, name string) {
	f.kept = append(f.kept, ranked[T]{v, rank, name})
	if n := len(f.kept); n > 100 && n/2 > f.limit {
		f.list()
	}
}

// list sorts what is kept, and drops what exceeds the limit.
func (f *firsts[T]) list() []ranked[T] {
	slices.SortStableFunc(f.kept, func(a, b ranked[T]) int {
		if f.reversed {
			a, b = b, a
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
	})
	f.kept = f.kept[:min(len(f.kept), f.limit)]
	return f.kept
}
