package limit

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// answered notes that Redis has answered, by this time of its clock, in microseconds since 1970.
func (r *Redis) answered(micros int64) {
	now := time.Now()
	r.last.Store(now.UnixNano())
	r.offset.Store(micros*1000 - now.UnixNano())
}

// failed notes that Redis has not answered. One late answer is no outage.
func (r *Redis) failed(err error) {
	if time.Since(time.Unix(0, r.last.Load())) > 2*probeEvery {
		r.change(false, err)
	}
}

func (r *Redis) change(up bool, err error) {
	r.up.Store(up)
	if told := r.told.Swap(&up); (told == nil || *told != up) && r.options.Changed != nil {
		r.options.Changed(err)
	}
}

// Run connects to Redis and keeps in it what this gate has in use, until ctx is done.
func (r *Redis) Run(ctx context.Context, o rueidis.ClientOption) {
	client, err := r.connect(ctx, o)
	if err != nil {
		return
	}
	defer client.Close()
	r.client.Store(&client)
	r.last.Store(time.Now().UnixNano()) // its first answer may be late, as any other
	probe, sync, renew, hear := time.NewTicker(probeEvery), time.NewTicker(syncEvery), time.NewTicker(r.lease/3), time.NewTicker(hearEvery)
	defer hear.Stop()
	defer probe.Stop()
	defer sync.Stop()
	defer renew.Stop()
	r.probe(ctx)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), syncTimeout)
			defer cancel()
			r.sync(last)
			return
		case <-probe.C:
			r.probe(ctx)
		case <-sync.C:
			if r.up.Load() {
				r.sync(ctx)
			}
		case <-renew.C:
			r.touchAll()
		case <-hear.C:
			r.touchShared()
		}
	}
}

// connect tries to connect until it succeeds or ctx is done.
func (r *Redis) connect(ctx context.Context, o rueidis.ClientOption) (rueidis.Client, error) {
	for {
		client, err := rueidis.NewClient(o)
		if err == nil {
			return client, nil
		}
		r.change(false, err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(probeEvery):
		}
	}
}

// probe finds out whether Redis answers, and which gates share it. When it answers again, it first gets to know what
// this gate has in use.
func (r *Redis) probe(ctx context.Context) {
	const gates = "fl:1:{fl}:gates"
	quick, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	client := *r.client.Load()
	reply, err := r.keep.Exec(quick, client, []string{gates}, []string{r.me, number(r.lease.Microseconds()), "c", "1", number(r.sequence.Add(1)), "0"}).AsIntSlice()
	if err != nil {
		r.failed(err)
		return
	}
	all, err := client.Do(quick, client.B().Hkeys().Key(gates).Build()).AsStrSlice()
	if err != nil {
		r.failed(err)
		return
	}
	slices.Sort(all)
	if i, found := slices.BinarySearch(all, r.me); found {
		r.share.Store(&Share{Index: i, Count: len(all)})
	}
	if !r.up.Load() {
		r.touchAll()
		if !r.sync(ctx) {
			return
		}
	}
	r.answered(reply[0])
	if !r.up.Load() {
		r.change(true, nil)
		r.touchAll() // what ended meanwhile
	}
}
