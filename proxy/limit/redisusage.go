package limit

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/flowlatch/flowlatch/keystore"
)

// The reading of usage.
const (
	usageTimeout = 10 * time.Second
	usageAtOnce  = 1000 // counters that are read in one call
)

// monthKey returns the name of the set of keys and chatflows that used something in the month that ends then.
func monthKey(end int64) string { return keyPrefix + "month:" + strconv.FormatInt(end, 10) }

// Usage returns what all keys and chatflows used at all gates, by months, sorted. While Redis does not answer, it is what
// this gate knows.
func (r *Redis) Usage(ctx context.Context, now time.Time) ([]Usage, error) {
	client := r.client.Load()
	if client == nil || !r.up.Load() {
		return r.local.Usage(ctx, now)
	}
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	r.touchAll()
	r.sync(ctx) // what it does not take now, it takes later
	var all []Usage
	start, _ := bounds(keystore.Month, now)
	for n := range monthsKept + 1 {
		month, err := usageOfMonth(ctx, *client, start.AddDate(0, -n, 0))
		if err != nil {
			return nil, err
		}
		all = append(all, month...)
	}
	sortUsage(all)
	return all, nil
}

// usageOfMonth returns what was used in the month that began at start.
func usageOfMonth(ctx context.Context, client rueidis.Client, start time.Time) ([]Usage, error) {
	end := start.AddDate(0, 1, 0).Unix()
	names, err := client.Do(ctx, client.B().Smembers().Key(monthKey(end)).Build()).AsStrSlice()
	if err != nil {
		return nil, err
	}
	all := make([]Usage, len(names))
	var commands rueidis.Commands
	for i, name := range names {
		kind, id, _ := strings.Cut(name, ":")
		all[i] = Usage{Kind: kind, ID: id, Period: keystore.Month.String(), Start: start.Format(time.DateOnly)}
		for count := range counts {
			key := keyPrefix + name + ":" + usageNames[keystore.Month][count] + ":" + strconv.FormatInt(end, 10) // as usageKey makes it
			commands = append(commands, client.B().Hvals().Key(key).Build())
		}
	}
	n := 0
	for some := range slices.Chunk(commands, usageAtOnce) {
		for _, reply := range client.DoMulti(ctx, some...) {
			if *all[n/counts].count(n % counts), err = sum(reply); err != nil {
				return nil, err
			}
			n++
		}
	}
	return all, nil
}

// sum returns what all gates together have in a counter.
func sum(counter rueidis.RedisResult) (n int64, err error) {
	values, err := counter.AsStrSlice()
	for _, v := range values {
		number, _, _ := strings.Cut(v, " ")
		used, _ := strconv.ParseInt(number, 10, 64) // what is no number, no gate has written
		n += used
	}
	return n, err
}
