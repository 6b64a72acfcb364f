package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/limit"
)

// Limits are the settings for counting limits and usage.
type Limits struct {
	LimitsRedis    *limit.RedisURL // nil for none
	LimitsReplicas Replicas
	LimitsFallback limit.Fallback
	UsageFile      string // empty for none
}

// Replicas says how many gates share limits without Redis: a number, with or without the place of this gate among them,
// or the name of a headless Service that has an address for each gate.
type Replicas struct {
	Count int // zero for one
	Index int // of this gate, from 0; Count if it is not known
	Name  string
}

// replicas parses the replicas that share limits.
func replicas(text string) (r Replicas, err error) {
	if text == "" {
		return r, nil
	}
	if name, ok := strings.CutPrefix(text, "dns:"); ok && name != "" {
		return Replicas{Name: name}, nil
	}
	index, count, found := strings.Cut(text, "/")
	if !found {
		index, count = text, text
	}
	if r.Count, err = strconv.Atoi(count); err == nil {
		r.Index, err = strconv.Atoi(index)
	}
	if err != nil || r.Count < 1 || r.Count > 1000 || r.Index < 0 || found && r.Index >= r.Count {
		return r, fmt.Errorf("%q: want a number of replicas from 1 to 1000; or the place of this one among them from 0, as in 0/3; or dns:NAME with the name of a headless Service", text)
	}
	return r, nil
}

// fallback parses which limits apply while Redis does not answer.
func fallback(text string) (limit.Fallback, error) {
	for _, f := range []limit.Fallback{limit.Split, limit.Whole, limit.Closed} {
		if f.String() == text {
			return f, nil
		}
	}
	return 0, fmt.Errorf("%q: want split, local or closed", text)
}

// checkLimits says which of the settings of limits do not belong together.
func (c *Config) checkLimits(conflict func(name, format string, args ...any)) {
	redis := c.LimitsRedis != nil
	if redis && c.LimitsReplicas != (Replicas{}) {
		conflict("limits-replicas", "with --limits-redis, Redis knows how many replicas there are; leave one of the two out")
	}
	if redis && c.UsageFile != "" {
		conflict("usage-file", "with --limits-redis, usage is kept in Redis; leave one of the two out")
	}
	if !redis && c.Given("limits-fallback") {
		conflict("limits-fallback", "it says what holds while Redis does not answer; set --limits-redis, or leave it out")
	}
}
