package keystore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Reload is the result of a reload.
type Reload struct {
	Time   time.Time `json:"time"`
	Result Result    `json:"result"`
	// Err says what is wrong with the files, for Failed.
	Err error `json:"-"`
	// Generation counts the snapshots published, from 1.
	Generation uint64 `json:"generation"`
	// Diff is what changed, for Loaded.
	Diff
}

// Result is how a reload ended.
type Result string

// How a reload can end. Each is a value of the metric's label.
const (
	Loaded    Result = "success"   // a new snapshot is active
	Unchanged Result = "unchanged" // the files are what is active
	Failed    Result = "failure"   // the last good snapshot stays active
)

// Status is the state of a store.
type Status struct {
	Path       string
	Generation uint64
	// Stale says that the files are not what is active, and Err why.
	Stale bool
	Err   error
	// LastSuccess is when the files were last found to be what is active.
	LastSuccess time.Time
	// Reloads counts the reloads that OnReload was told of, and Recent has the last of them, newest
	// first.
	Reloads map[Result]uint64
	Recent  []Reload
}

const recentReloads = 10

// Status returns the state of the store, without waiting for a reload. The caller owns the maps and slices in it.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Reloads = maps.Clone(st.Reloads)
	st.Recent = slices.Clone(st.Recent)
	return st
}

// tell records r in the status, and tells OnReload of it if it is worth a word. isStale says that the keys of Flowise in
// a snapshot that was loaded are out of date.
func (s *Store) tell(r Reload, worthAWord, isStale bool) {
	kept := r
	kept.Diff = r.shortened()
	s.mu.Lock()
	st := &s.status
	st.Generation = r.Generation
	switch {
	case r.Result == Failed:
		st.Stale, st.Err = true, r.Err
	case r.Result == Unchanged:
		st.LastSuccess = r.Time
	case !isStale:
		st.Stale, st.Err, st.LastSuccess = false, nil, r.Time
	}
	if worthAWord {
		st.Reloads[r.Result]++
		st.Recent = slices.Insert(st.Recent, 0, kept)
		st.Recent = st.Recent[:min(len(st.Recent), recentReloads)]
	}
	s.mu.Unlock()
	if worthAWord && s.opts.OnReload != nil && r.Generation > 0 { // Open returns its own fault
		s.opts.OnReload(r)
	}
}

// few returns err for a log line: of many faults, the first and how many more there are.
func few(err error) error {
	const most = 20
	var faults strictyaml.Faults
	if !errors.As(err, &faults) || len(faults) <= most {
		return err
	}
	more := strictyaml.Fault{File: faults[0].File, Text: fmt.Sprintf("and %d more; `flowlatch check --all` shows all", len(faults)-most)}
	return append(slices.Clone(faults[:most]), more)
}
