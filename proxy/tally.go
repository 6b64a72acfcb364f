package proxy

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flowlatch/flowlatch/keystore"
)

// tally counts what became of the requests for one chatflow, for people who look at the gate: the metrics
// cannot be asked for one chatflow's without reading all. Its fields are added to without a lock.
type tally struct {
	requests atomic.Uint64 // that have ended
	failed   atomic.Uint64 // answered 500 or above, by the runner or by the gate
	streams  atomic.Int64  // open now
	last     atomic.Int64  // when the last request began, in seconds since 1970; 0 for none
	refused  [len(tallied)]atomic.Uint64
	// lastRefused is when the last request began that was refused or could not be served.
	lastRefused atomic.Int64
}

// tallied are the codes that are counted, those of flowlatch_denied_total, in the order in which they are
// shown.
var tallied = [...]Code{
	CodeMissingKey, CodeInvalidKey, CodeKeyNotForFlow, CodeTooManyFailures, CodeNotExposed, CodeMethod, CodeNotCanonical,
	CodeBadChatflowID, CodeBadRequest, CodeFieldNotAllowed, CodeUnsupportedMedia, CodeBodyTooLarge, CodeOverloaded,
	CodeUnreachable, CodeUpstreamSlow, CodeDraining,
}

// count adds a request that has ended.
func (t *tally) count(r *record) {
	at := r.started.Unix()
	t.requests.Add(1)
	later(&t.last, at)
	if r.status >= 500 {
		t.failed.Add(1)
	}
	if r.err == nil {
		return
	}
	if i := slices.Index(tallied[:], r.err.Code); i >= 0 {
		t.refused[i].Add(1)
		later(&t.lastRefused, at)
	}
}

// later notes a time, unless a later one is there: of two requests, the one that ends last need not have begun
// last.
func later(v *atomic.Int64, at int64) {
	if v.Load() < at {
		v.Store(at)
	}
}

// codes returns what was counted by code, without those that did not occur, and the sum.
func (t *tally) codes() (byCode map[Code]uint64, sum uint64) {
	for i := range t.refused {
		if n := t.refused[i].Load(); n > 0 {
			if byCode == nil {
				byCode = map[Code]uint64{}
			}
			byCode[tallied[i]] = n
			sum += n
		}
	}
	return byCode, sum
}

// tallies has a tally for each chatflow of the key file. Its methods may be called concurrently.
type tallies struct {
	all  tally // of every request
	none tally // of requests for no chatflow that the key file lists

	mu   sync.Mutex                        // for replacing the map
	byID atomic.Pointer[map[string]*tally] // by the chatflow's ID; never changed, so that requests take no lock
}

// count adds a request that has ended.
func (t *tallies) count(r *record) {
	t.all.count(r)
	of := r.tally
	if of == nil {
		of = t.of(r.chatflow, r.proxy.store.Snapshot())
	}
	of.count(r)
}

// of returns the tally of a chatflow, which may be nil. At the first request for a chatflow that is new in the
// key file it makes those of the whole file, and leaves out those of chatflows that are not in it any more.
func (t *tallies) of(c *keystore.Chatflow, s *keystore.Snapshot) *tally {
	if c == nil {
		return &t.none
	}
	if byID := t.byID.Load(); byID != nil {
		if found := (*byID)[c.ID]; found != nil {
			return found
		}
	}
	return t.add(c.ID, s)
}

func (t *tallies) add(id string, s *keystore.Snapshot) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	var old map[string]*tally
	if byID := t.byID.Load(); byID != nil {
		old = *byID
	}
	if found := old[id]; found != nil {
		return found
	}
	next := make(map[string]*tally, len(s.Chatflows())+1)
	for _, c := range s.Chatflows() {
		if next[c.ID] = old[c.ID]; next[c.ID] == nil {
			next[c.ID] = &tally{}
		}
	}
	for id, was := range old {
		if was.streams.Load() > 0 { // it is still to be seen, and to end
			next[id] = was
		}
	}
	if next[id] == nil { // taken out of the file since the request was decided about
		return &tally{}
	}
	t.byID.Store(&next)
	return next[id]
}

// get returns the tally of a chatflow by its ID; an empty one if there was no request for it.
func (t *tallies) get(id string) *tally {
	if byID := t.byID.Load(); byID != nil {
		if found := (*byID)[id]; found != nil {
			return found
		}
	}
	return &tally{}
}
