package limit

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/keystore"
)

// Bounds for reading usage.
const (
	usageTimeout = 10 * time.Second
	usageAtOnce  = 100 // counters read in one call; requests wait meanwhile
)

// monthKey returns the name of the set of keys and chatflows that used something in the month that ends then.
func monthKey(end int64) string { return keyPrefix + "month:" + strconv.FormatInt(end, 10) }

// Usage returns what all keys and chatflows used at all gates, by month, sorted. While Redis does not answer, it returns
// what this gate knows.
func (r *Redis) Usage(ctx context.Context, now time.Time) ([]Usage, error) {
	if !r.up.Load() {
		return r.local.Usage(ctx, now)
	}
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	r.touchAll()
	r.sync(ctx) // what Redis does not take now, it takes later
	var all []Usage
	start, _ := bounds(keystore.Month, now)
	for n := range monthsKept + 1 {
		month, err := r.usageOfMonth(ctx, start.AddDate(0, -n, 0))
		if err != nil {
			return nil, err
		}
		all = append(all, month...)
	}
	sortUsage(all)
	return all, nil
}

// usageOfMonth returns what was used in the month that began at start.
func (r *Redis) usageOfMonth(ctx context.Context, start time.Time) ([]Usage, error) {
	end := start.AddDate(0, 1, 0).Unix()
	names, err := redis.Strings(r.pipeline.do(ctx.Done(), newCommand("SMEMBERS", monthKey(end))))
	if err != nil {
		return nil, err
	}
	all := make([]Usage, len(names))
	var counters []any
	for i, name := range names {
		kind, id, _ := strings.Cut(name, ":")
		all[i] = Usage{Kind: kind, ID: id, Period: keystore.Month.String(), Start: start.Format(time.DateOnly)}
		for count := range counts {
			counters = append(counters, keyPrefix+name+":"+usageNames[keystore.Month][count]+":"+strconv.FormatInt(end, 10)) // must match account.appendKey
		}
	}
	n := 0
	for some := range slices.Chunk(counters, usageAtOnce) {
		sums, err := redis.Int64s(r.pipeline.do(ctx.Done(), newCommand(evalSHA, append([]any{r.sum.Hash(), len(some)}, some...)...)))
		if err == nil && len(sums) != len(some) {
			err = errReply
		}
		if err != nil {
			return nil, err
		}
		for _, sum := range sums {
			*all[n/counts].count(n % counts) = sum
			n++
		}
	}
	return all, nil
}
