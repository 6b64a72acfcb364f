package stats

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Counts says what became of requests since the start.
type Counts struct {
	// Requests have ended; Failed of them had a status of 500 or above, from the upstream or from the gate.
	Requests, Failed uint64
	// Refused are requests that the gate refused or could not serve, by the index of their code.
	Refused [codes]uint64
	// Responses are the responses to allowed requests. Waited is how long all of them together took to begin.
	Responses uint64
	Waited    time.Duration
	// Streams are those that are open now.
	Streams int64
	// LastRequest and LastRefused are when the last such request began; zero if there was none.
	LastRequest, LastRefused time.Time
}

// RefusedByCode returns the codes that occurred, or nil.
func (c Counts) RefusedByCode() (byCode map[problem.Code]uint64) {
	for i, n := range c.Refused {
		if n > 0 {
			if byCode == nil {
				byCode = map[problem.Code]uint64{}
			}
			byCode[problem.Codes()[i]] = n
		}
	}
	return byCode
}

// codes is the number of codes that a response can have.
const codes = 20

// counters count what becomes of the requests for one chatflow, for the pages that operators look at: the metrics of one
// chatflow cannot be read without reading all. Requests add to them without a lock.
type counters struct {
	requests, failed  atomic.Uint64
	refused           [codes]atomic.Uint64
	responses         atomic.Uint64
	waited            atomic.Int64 // nanoseconds
	streams           atomic.Int64
	last, lastRefused atomic.Int64 // seconds since 1970; 0 for none
	upstreamRefusal   upstreamRefusal
}

// count adds a request that has ended.
func (c *counters) count(r *Request) {
	at := r.Started.Unix()
	c.requests.Add(1)
	storeMax(&c.last, at)
	if r.Status >= 500 {
		c.failed.Add(1)
	}
	if r.Allowed && !r.FirstByte.IsZero() {
		c.responses.Add(1)
		c.waited.Add(int64(r.FirstByte.Sub(r.Started)))
	}
	if r.Err == nil {
		return
	}
	if i := r.Err.Code.Index(); i >= 0 {
		c.refused[i].Add(1)
		storeMax(&c.lastRefused, at)
	}
}

// storeMax stores a time unless a later one is there. The request that ends last need not have begun last.
func storeMax(v *atomic.Int64, at int64) {
	for old := v.Load(); old < at && !v.CompareAndSwap(old, at); old = v.Load() {
	}
}

func (c *counters) read() Counts {
	counts := Counts{
		Requests: c.requests.Load(), Failed: c.failed.Load(), Streams: c.streams.Load(),
		Responses: c.responses.Load(), Waited: time.Duration(c.waited.Load()),
		LastRequest: unix(&c.last), LastRefused: unix(&c.lastRefused),
	}
	for i := range c.refused {
		counts.Refused[i] = c.refused[i].Load()
	}
	return counts
}

func unix(v *atomic.Int64) time.Time {
	if seconds := v.Load(); seconds != 0 {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Time{}
}

// chatflowCounters has counters for each chatflow of the key file that has had requests. Its methods may be called
// concurrently.
type chatflowCounters struct {
	all      counters // every request
	unlisted counters // requests for no chatflow that the key file lists
	byID     sync.Map // chatflow ID → *counters
}

// of returns the counters of a chatflow, or those of unlisted if chatflow is nil.
func (c *chatflowCounters) of(chatflow *keystore.Chatflow) *counters {
	if chatflow == nil {
		return &c.unlisted
	}
	found, ok := c.byID.Load(chatflow.ID)
	if !ok {
		found, _ = c.byID.LoadOrStore(chatflow.ID, &counters{})
	}
	return found.(*counters)
}

// prune drops the counters of chatflows that the key file no longer lists and that have no open stream.
func (c *chatflowCounters) prune(s *keystore.Snapshot) {
	c.byID.Range(func(id, found any) bool {
		if s.Entry(id.(string)) == nil && found.(*counters).streams.Load() == 0 {
			c.byID.Delete(id)
		}
		return true
	})
}

// Totals returns the counts of all requests, and of those for no chatflow that the key file lists.
func (s *Stats) Totals() (all, unlisted Counts) {
	return s.chatflows.all.read(), s.chatflows.unlisted.read()
}

// ChatflowCounts returns the counts of a chatflow by its ID.
func (s *Stats) ChatflowCounts(id string) Counts {
	if found, ok := s.chatflows.byID.Load(id); ok {
		return found.(*counters).read()
	}
	return Counts{}
}

// EachChatflow calls do with the counts of every chatflow that has had requests, in any order, until do returns false.
func (s *Stats) EachChatflow(do func(id string, counts Counts) bool) {
	s.chatflows.byID.Range(func(id, found any) bool { return do(id.(string), found.(*counters).read()) })
}
