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

// Usage returns what all keys and chatflows used at all gates, by months, sorted. While Redis does not answer, it is what
// this gate knows.
func (r *Redis) Usage(ctx context.Context, now time.Time) ([]Usage, error) {
	client := r.client.Load()
	if client == nil || !r.up.Load() {
		return r.local.Usage(ctx, now)
	}
	r.touchAll()
	r.sync(ctx) // what it does not take now, it takes later
	all := map[string]*Usage{}
	for cursor := uint64(0); ; {
		page, err := (*client).Do(ctx, (*client).B().Scan().Cursor(cursor).Match("fl:1:{fl}:*:month:*").Count(1000).Build()).AsScanEntry()
		if err != nil {
			return nil, err
		}
		if err := addCounters(ctx, *client, all, page.Elements); err != nil {
			return nil, err
		}
		if cursor = page.Cursor; cursor == 0 {
			break
		}
	}
	list := make([]Usage, 0, len(all))
	for _, u := range all {
		list = append(list, *u)
	}
	sortUsage(list)
	return list, nil
}

// addCounters adds the counters with these keys to the usage that they belong to.
func addCounters(ctx context.Context, client rueidis.Client, all map[string]*Usage, keys []string) error {
	commands := make(rueidis.Commands, len(keys))
	for i, key := range keys {
		commands[i] = client.B().Hvals().Key(key).Build()
	}
	for i, reply := range client.DoMulti(ctx, commands...) {
		values, err := reply.AsStrSlice()
		if err != nil {
			return err
		}
		u, count := usageOfKey(all, keys[i])
		if u == nil {
			continue
		}
		for _, v := range values {
			number, _, _ := strings.Cut(v, " ")
			n, _ := strconv.ParseInt(number, 10, 64) // what is no number, no gate has written
			*u.count(count) += n
		}
	}
	return nil
}

// usageOfKey returns the usage to which a counter belongs, and which of its numbers it is; nil if it is none of ours. See
// account.usageKey.
func usageOfKey(all map[string]*Usage, key string) (u *Usage, count int) {
	parts := strings.Split(key, ":")
	if len(parts) != 8 {
		return nil, 0
	}
	kind, id, start := parts[3], parts[4], parts[7]
	count = slices.Index(countNames[:], parts[5])
	at, err := strconv.ParseInt(start, 10, 64)
	if err != nil || count < 0 || kind == Client.String() || kind == User.String() {
		return nil, 0
	}
	name := kind + ":" + id + ":" + start
	if all[name] == nil {
		all[name] = &Usage{Kind: kind, ID: id, Period: keystore.Month.String(), Start: time.Unix(at, 0).UTC().Format(time.DateOnly)}
	}
	return all[name], count
}
