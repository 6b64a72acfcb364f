package admin

import (
	"cmp"
	"iter"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/stats"
)

// The last hour of each key and chatflow is kept in slots.
const (
	slotTime  = 2 * time.Minute
	hourSlots = 30
	maxHours  = 1000 // keys, and as many chatflows: the first that were used
)

// hours remembers the last hour of keys or of chatflows. Requests do not write to it: it reads their counters now and
// then.
type hours struct {
	mu      sync.Mutex // guards the fields below
	slot    time.Time  // the beginning of the running slot; zero before the first
	byID    map[string]*hour
	wasFull bool
}

// hour is the last hour of one key or chatflow.
type hour struct {
	last  stats.Counts // when the running slot began
	slots [hourSlots]hourSlot
	seen  bool // it still has counts
}

// sample notes the counts of each key or chatflow if a slot has ended.
func (h *hours) sample(now time.Time, each iter.Seq2[string, stats.Counts]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slot := now.UTC().Truncate(slotTime)
	if slot.Equal(h.slot) {
		return
	}
	ended := h.slot // all new counts go to it
	if h.slot.IsZero() {
		h.byID, ended = map[string]*hour{}, slot.Add(-slotTime)
	}
	h.slot = slot
	for id, counts := range each {
		one := h.byID[id]
		if one == nil {
			if len(h.byID) >= maxHours {
				h.wasFull = true
				continue
			}
			one = &hour{}
			if h.wasFull { // it may have been in use for a long time
				one.last = counts
			}
			h.byID[id] = one
		}
		one.seen = true
		one.slots[place(ended)] = slotOf(one.last, counts)
		one.last = counts
		for t := slot; t.After(ended) && slot.Sub(t) < hourSlots*slotTime; t = t.Add(-slotTime) { // the running slot, and any that passed without a sample
			one.slots[place(t)] = hourSlot{}
		}
	}
	for id, one := range h.byID {
		if !one.seen {
			delete(h.byID, id)
		}
		one.seen = false
	}
}

// hourSlot counts the requests that ended in a slot.
type hourSlot struct {
	requests, refused, failed uint32
	milliseconds              uint32 // until the first byte of allowed requests, on average
}

// slotOf returns what was counted between two times.
func slotOf(from, to stats.Counts) hourSlot {
	n := func(from, to uint64) uint32 { return uint32(min(to-from, math.MaxUint32)) } //nolint:gosec // limited
	s := hourSlot{requests: n(from.Requests, to.Requests), refused: n(refused(from), refused(to)), failed: n(from.Failed, to.Failed)}
	if responses := to.Responses - from.Responses; responses > 0 {
		mean := (to.Waited - from.Waited) / time.Duration(min(responses, math.MaxInt64))         //nolint:gosec // limited
		s.milliseconds = uint32(min((mean+time.Millisecond-1)/time.Millisecond, math.MaxUint32)) //nolint:gosec // limited
	}
	return s
}

// place returns the index of a slot in the ring.
func place(slot time.Time) int { return int(slot.Unix()/int64(slotTime.Seconds())) % hourSlots }

// HourStatus is the last hour of a key or a chatflow, the oldest slot first; the last one is still running. Slots
// before the first request are left out, and so are lists that have nothing but zeros.
type HourStatus struct {
	Requests []uint32 `json:"requests"`
	// Refused are those to which the gate itself responded with a status from 400 to 499, Failed those that got a
	// status from 500, from the upstream or from the gate.
	Refused []uint32 `json:"refused,omitempty"`
	Failed  []uint32 `json:"failed,omitempty"`
	// MS is how many milliseconds allowed requests waited for the first byte on average; 0 if there were none.
	MS []uint32 `json:"ms,omitempty"`
}

// status returns the last hour of a key or chatflow with these counts now, or nil if nothing happened in it.
func (h *hours) status(id string, counts stats.Counts) *HourStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.byID[id]
	if one == nil {
		if h.wasFull || counts.Requests == 0 {
			return nil
		}
		one = &hour{} // used for the first time in this slot
	}
	var slots []hourSlot
	for i := range hourSlots - 1 {
		slots = append(slots, one.slots[place(h.slot.Add(time.Duration(i-hourSlots+1)*slotTime))])
	}
	slots = append(slots, slotOf(one.last, counts))
	for len(slots) > 0 && slots[0].requests == 0 {
		slots = slots[1:]
	}
	if len(slots) == 0 {
		return nil
	}
	list := func(of func(hourSlot) uint32) (all []uint32) {
		for _, s := range slots {
			all = append(all, of(s))
		}
		if !slices.ContainsFunc(all, func(n uint32) bool { return n > 0 }) {
			return nil
		}
		return all
	}
	return &HourStatus{
		Requests: list(func(s hourSlot) uint32 { return s.requests }), Refused: list(func(s hourSlot) uint32 { return s.refused }),
		Failed: list(func(s hourSlot) uint32 { return s.failed }), MS: list(func(s hourSlot) uint32 { return s.milliseconds }),
	}
}

// hoursResponse is the response to `GET /status/hours`.
type hoursResponse struct {
	Slot    int       `json:"slot_seconds"` // how long each slot is
	Running time.Time `json:"running"`      // when the last slot began
	// Keys and Chatflows are by ID, without those for which nothing happened.
	Keys      map[string]*HourStatus `json:"keys"`
	Chatflows map[string]*HourStatus `json:"chatflows"`
}

// serveHours shows the last hour of the keys and chatflows that a status with the same query would show.
func (a *Admin) serveHours(w http.ResponseWriter, r *http.Request) {
	v, err := parseView(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v.limit = min(cmp.Or(v.limit, shownHours), shownHours)
	v.idsOnly = true
	a.compressor.write(w, r, a.hours(v, time.Now()))
}

// hours returns the last hour of the keys and chatflows of a view.
func (a *Admin) hours(v view, now time.Time) hoursResponse {
	a.viewing.Lock() // as for a status
	defer a.viewing.Unlock()
	a.sampleHours(now)
	snapshot, counts := a.opts.Store.Snapshot(), a.proxy.Stats()
	response := hoursResponse{Slot: int(slotTime.Seconds()), Running: now.UTC().Truncate(slotTime), Keys: map[string]*HourStatus{}, Chatflows: map[string]*HourStatus{}}
	keys, _, _ := a.keyStatus(v, snapshot, now)
	for _, k := range keys {
		if h := a.keyHours.status(k.ID, counts.KeyUse(k.ID).Counts); h != nil {
			response.Keys[k.ID] = h
		}
	}
	chatflows, _ := a.chatflowStatus(v, snapshot, now)
	for _, c := range chatflows {
		if h := a.chatflowHours.status(c.ID, counts.ChatflowCounts(c.ID)); h != nil {
			response.Chatflows[c.ID] = h
		}
	}
	return response
}

// shownHours is how many keys and chatflows one response has at most.
const shownHours = 100

// sampleHours notes what keys and chatflows counted, if a slot has ended.
func (a *Admin) sampleHours(now time.Time) {
	a.keyHours.sample(now, a.proxy.Stats().EachKey)
	a.chatflowHours.sample(now, a.proxy.Stats().EachChatflow)
}
