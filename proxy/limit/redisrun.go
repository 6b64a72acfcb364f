package limit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// answered notes that Redis has answered, and the time by its clock, in microseconds since 1970.
func (r *Redis) answered(micros int64) {
	now := time.Now()
	r.last.Store(now.UnixNano())
	r.offset.Store(micros*1000 - now.UnixNano())
}

// failed notes that Redis has not answered, or has refused a command. A single late answer is not an outage.
func (r *Redis) failed(err error) {
	isFirst := r.reported.Load() == nil && !errors.Is(err, errLate)
	if errors.As(err, new(redis.Error)) || errors.Is(err, ErrForgotten) || isFirst || time.Since(time.Unix(0, r.last.Load())) > 2*probeEvery {
		r.change(false, err)
	}
}

func (r *Redis) change(up bool, err error) {
	r.up.Store(up)
	if before := r.reported.Swap(&up); (before == nil || *before != up) && r.options.Changed != nil {
		r.options.Changed(err)
	}
}

// Run connects to Redis and keeps it up to date with what this gate has in use, until ctx is done.
func (r *Redis) Run(ctx context.Context, url *RedisURL) {
	var pipeline sync.WaitGroup
	defer pipeline.Wait()
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	s := &servers{url: url, timeout: max(silence, r.timeout), scripts: []*redis.Script{r.admit, r.keep, r.gates, r.sum}}
	pipeline.Go(func() {
		r.pipeline.run(connected, func(ctx context.Context) (redis.Conn, error) {
			c, err := s.connect(ctx)
			if err == nil {
				r.touchAll() // the server may have restarted with older data
			}
			return c, err
		})
	})
	r.last.Store(time.Now().UnixNano()) // the first answer may be late, like any other
	probe, write, renew, hear := time.NewTicker(probeEvery), time.NewTicker(syncEvery), time.NewTicker(r.lease/3), time.NewTicker(hearEvery)
	places := time.NewTimer(placeEvery)
	defer places.Stop()
	defer hear.Stop()
	defer probe.Stop()
	defer write.Stop()
	defer renew.Stop()
	r.probe(ctx)
	written := time.Now()
	for {
		select {
		case <-ctx.Done():
			r.leave(context.WithoutCancel(ctx))
			return
		case <-probe.C:
			r.probe(ctx)
		case <-r.ended:
			places.Reset(time.Until(written.Add(placeEvery)))
		case <-places.C:
			if r.up.Load() {
				r.syncPlaces(ctx)
			}
			written = time.Now()
		case <-write.C:
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

// probe finds out whether Redis answers, and which gates share it. When it answers again, this gate first writes what it
// has in use.
func (r *Redis) probe(ctx context.Context) {
	g, err := r.register(ctx)
	if err == nil && !g.registered {
		r.change(false, ErrForgotten)
		r.joinAgain(g.data)
		g, err = r.register(ctx)
	}
	if err != nil {
		r.failed(err)
		return
	}
	r.data = g.data
	if r.counts && !r.up.Load() {
		r.backOff(time.Now())
	}
	if r.up.Load() || r.comeBack(ctx) {
		if share, found := g.share(*r.name.Load()); found {
			r.share.Store(&share)
		}
		r.answered(g.micros)
	}
}

// How long a gate pauses before it counts by Redis again.
const (
	// settle is the pause after Redis has lost its counts, so that all other gates can write theirs again.
	settle = time.Second
	// steady is how long a gate must have counted by Redis for the next pause to be zero. It is also the longest pause.
	steady = time.Minute
)

// backOff notes that Redis failed. If Redis fails again and again, for example because it is full now and then, the
// pauses get longer.
func (r *Redis) backOff(now time.Time) {
	r.counts = false
	if now.Sub(r.since) > steady {
		r.pause = 0
	}
	if ready := now.Add(r.pause); ready.After(r.ready) {
		r.ready = ready
	}
	r.pause = min(max(2*r.pause, settle), steady)
}

// comeBack makes this gate count by Redis again, after it has written what it has in use. It reports whether that
// succeeded.
func (r *Redis) comeBack(ctx context.Context) bool {
	if time.Now().Before(r.ready) {
		r.sync(ctx) // other gates may come back sooner, and must know what this one has
		return false
	}
	r.touchAll()
	if !r.sync(ctx) {
		return false
	}
	r.counts, r.since = true, time.Now()
	r.change(true, nil)
	r.touchAll() // what ended meanwhile
	return true
}

// leave writes everything, because refusals, and requests that ended while this gate stayed away from Redis, are
// otherwise written only at the next renewal. Then it tells other gates that this one is gone.
func (r *Redis) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r.sync(ctx) // first what is known to have changed, in case there is no time for all
	r.touchAll()
	if r.sync(ctx) {
		_, _ = r.pipeline.do(ctx.Done(), newCommand("HDEL", gatesKey, *r.name.Load())) // else it is gone when its lease ends
	}
}
