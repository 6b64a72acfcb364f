package keystore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Reload is the result of a reload.
type Reload struct {
	Time   time.Time `json:"time"`
	Result Result    `json:"result"`
	// Err says what is wrong with the files, for Failed.
	Err error `json:"-"`
	// Generation counts the snapshots published, from 1.
	Generation uint64 `json:"generation"`
	// Files are the names of the files in a directory that changed, or that have a fault.
	Files []string `json:"files,omitempty"`
	// Diff is what changed, for Loaded.
	Diff
}

// Result is how a reload ended.
type Result = watch.Result

// How a reload can end. Each is a value of the metric's label.
const (
	Loaded    = watch.Loaded    // a new snapshot is active
	Unchanged = watch.Unchanged // the files hold what is active already
	Failed    = watch.Failed    // the last good snapshot stays active
)

// Status is the state of a store.
type Status struct {
	Path       string
	Generation uint64
	// Stale says that the files do not hold what is active, and Err why.
	Stale bool
	Err   error
	// LastSuccess is when the files were last found to hold what is active.
	LastSuccess time.Time
	// Reloads counts the reloads that OnReload was called with, and Recent has the last of them, newest first.
	Reloads map[Result]uint64
	Recent  []Reload
	// Files are the key files of a directory in byte order, followed by "." for the directory itself and by the file of
	// Flowise's own keys, if there is one.
	Files []FileStatus
}

// FileStatus is the state of one key file in a directory.
type FileStatus struct {
	File string // its name
	// Err says why the file does not hold what is active; nil if it does.
	Err error
	// Keys and Chatflows are how many of the active keys and chatflows come from the file.
	Keys, Chatflows int
}

const recentReloads = 10

// Status returns the state of the store, without waiting for a reload. The caller owns the maps and slices in it.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Reloads = maps.Clone(st.Reloads)
	st.Recent = slices.Clone(st.Recent)
	st.Files = slices.Clone(st.Files)
	return st
}

// tell records r in the status. If r is worth a word, it also counts it and calls OnReload. now is the state after r.
func (s *Store) tell(r Reload, worthAWord bool, now state) {
	kept := r
	kept.Diff, kept.Files = r.shortened(), slices.Clone(r.Files[:min(len(r.Files), shortList)])
	s.mu.Lock()
	st := &s.status
	st.Generation = r.Generation
	st.Stale, st.Err, st.Files = now.fault != nil, now.fault, now.files
	if now.fault == nil && !now.isPending {
		st.LastSuccess = r.Time
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

// few shortens err for a log line: of many faults it has the first ones and the number of the others.
func few(err error) error {
	const most = 20
	faults, ok := errors.AsType[strictyaml.Faults](err)
	if !ok || len(faults) <= most {
		return err
	}
	more := strictyaml.Fault{File: faults[0].File, Text: fmt.Sprintf("and %d more; `flowlatch check --all` shows all", len(faults)-most)}
	return append(slices.Clone(faults[:most]), more)
}
