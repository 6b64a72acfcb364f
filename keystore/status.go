package keystore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Reload is what one look at the key file led to.
type Reload struct {
	Time   time.Time
	Result Result
	// Err says what is wrong with the file, for Failed.
	Err error
	// Generation counts the snapshots put in force, from 1.
	Generation uint64
	// Diff is what changed, for Loaded.
	Diff
}

// Result is how a reload ended.
type Result string

// How a reload can end. Each is a value of the metric's label.
const (
	Loaded    Result = "success"   // a new snapshot is in force
	Unchanged Result = "unchanged" // the file is what is in force
	Failed    Result = "failure"   // the old snapshot stays in force
)

// Status is what an operator wants to know of a store.
type Status struct {
	Path       string
	Generation uint64
	// Stale says that the file is not what is in force, and Err why.
	Stale bool
	Err   error
	// LastSuccess is when the file was last found to be what is in force.
	LastSuccess time.Time
	// Reloads counts the reloads that OnReload was told of, and Recent has the last of them, newest
	// first.
	Reloads map[Result]uint64
	Recent  []Reload
}

const recentReloads = 10

// Status returns the state of the store. It does not wait for a reload that is going on. The maps and
// slices in it are the caller's.
func (s *Store) Status() Status {
	s.statusMu.Lock()
	defer s.statusMu.Unlock()
	st := s.status
	st.Reloads = maps.Clone(st.Reloads)
	st.Recent = slices.Clone(st.Recent)
	return st
}

// record has change put into the status what r led to, and tells of r if that is asked for.
func (s *Store) record(r Reload, tell bool, change func(*Status)) {
	kept := r
	kept.Diff = r.shortened()
	s.statusMu.Lock()
	change(&s.status)
	if tell {
		s.status.Reloads[r.Result]++
		s.status.Recent = slices.Insert(s.status.Recent, 0, kept)
		s.status.Recent = s.status.Recent[:min(len(s.status.Recent), recentReloads)]
	}
	s.statusMu.Unlock()
	if tell && s.opts.OnReload != nil && r.Generation > 0 { // Open returns its own fault
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
	more := strictyaml.Fault{File: faults[0].File, Text: fmt.Sprintf("and %d faults more; `flowlatch check` shows all", len(faults)-most)}
	return append(slices.Clone(faults[:most]), more)
}
