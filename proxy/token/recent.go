package token

import (
	"maps"
	"sync"
)

// recent remembers the values that were added or asked for last, by key: at least most/2 of them, and at most most. Its
// methods may be called concurrently.
type recent[K comparable, V any] struct {
	most int

	mu         sync.RWMutex
	young, old map[K]V // guarded by mu; when young has most/2 values, it replaces old
}

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	r.mu.RLock()
	v, ok = r.young[k]
	r.mu.RUnlock()
	if ok {
		return v, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(k)
}

// find is get for a caller that holds mu.
func (r *recent[K, V]) find(k K) (v V, ok bool) {
	if v, ok = r.young[k]; ok {
		return v, true
	}
	if v, ok = r.old[k]; ok {
		r.add(k, v)
	}
	return v, ok
}

// of returns the value of k, and adds v as its value if there was none.
func (r *recent[K, V]) of(k K, v V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.find(k); ok {
		return known
	}
	r.add(k, v)
	return v
}

// drop forgets the values that over returns true for.
func (r *recent[K, V]) drop(over func(V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, values := range []map[K]V{r.young, r.old} {
		maps.DeleteFunc(values, func(_ K, v V) bool { return over(v) })
	}
}

// add adds a value. The caller holds mu.
func (r *recent[K, V]) add(k K, v V) {
	if len(r.young) >= r.most/2 {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = map[K]V{}
	}
	r.young[k] = v
}
