package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// The largest values of limits, and the shortest time from one request of a rate to the next.
const (
	maxConcurrent = 1_000_000
	maxRatePer    = 31 * 24 * time.Hour
	minRateEvery  = time.Microsecond
)

// limitFields are the fields of limits in the file; those they do not have are nil.
type limitFields struct {
	Requests, Concurrent, Stream, Bytes, Enforce *yaml.Node
	StreamSeconds                                *yaml.Node `yaml:"stream_seconds"`
}

// chatflowLimitFields are the fields of the limits of a chatflow.
type chatflowLimitFields struct {
	limitFields
	PerClient *yaml.Node `yaml:"per_client"`
}

var (
	inLimits         = strictyaml.FieldsOf[limitFields](meant)
	inChatflowLimits = strictyaml.FieldsOf[chatflowLimitFields](meant)
)

// meant has names that people write for the fields of limits, and for each one what to write instead.
var meant = map[string]string{
	"rate": "requests: 10/1s", "rates": "requests: 10/1s", "rate_limit": "requests: 10/1s", "rps": "requests: 10/1s", "rpm": "requests: 600/1m",
	"quota": "requests: 10000/month", "quotas": "requests: 10000/month", "daily": "requests: 500/day", "monthly": "requests: 10000/month",
	"concurrency": "concurrent: 4", "max_concurrent": "concurrent: 4", "parallel": "concurrent: 4",
	"timeout": "stream: 10m", "duration": "stream: 10m", "seconds": "stream_seconds: 36000/month",
	"traffic": "bytes: 2GiB/month", "bandwidth": "bytes: 2GiB/month", "size": "bytes: 2GiB/month",
	"observe": "enforce: false", "shadow": "enforce: false", "dry_run": "enforce: false",
}

// ParseLimits reads limits as they are written in a key file, on one line, such as
// `requests: [10/1s, 10000/month], concurrent: 4`. The error has everything that is wrong with them, without line numbers.
func ParseLimits(text string) (*Limits, error) {
	p := &parser{document: &document{Decoder: &strictyaml.Decoder{}}}
	l := p.limits(p.Document([]byte("{"+text+"}")), "limits")
	var errs []error
	for _, f := range p.Faults {
		errs = append(errs, errors.New(f.Text))
	}
	return l, errors.Join(errs...)
}

// limits reads the limits at n, if there are any.
func (p *parser) limits(n *yaml.Node, what string) *Limits {
	f, ok := inLimits.Read(p.Decoder, n, what)
	if !ok {
		return nil
	}
	return p.limitsOf(n, what, f)
}

// chatflowLimits reads the limits of a chatflow, and those of each of its clients.
func (p *parser) chatflowLimits(n *yaml.Node) (all, perClient *Limits) {
	f, ok := inChatflowLimits.Read(p.Decoder, n, "limits")
	if !ok {
		return nil, nil
	}
	return p.limitsOf(n, "limits", f.limitFields), p.memberLimits(f.PerClient, "per_client", "a client address", "the chatflow")
}

// limitsOf makes limits from their fields, which are at n.
func (p *parser) limitsOf(n *yaml.Node, what string, f limitFields) *Limits {
	l := &Limits{Observe: f.Enforce != nil && !p.Bool(f.Enforce, "enforce")}
	l.Concurrent, _ = scalar(p, f.Concurrent, "concurrent", parseConcurrent)
	l.Stream, _ = scalar(p, f.Stream, "stream", parseStreamLimit)
	p.amounts(l, f.Requests, Requests)
	p.amounts(l, f.StreamSeconds, StreamSeconds)
	p.amounts(l, f.Bytes, Bytes)
	slices.SortFunc(l.Rates, func(a, b Rate) int { return cmp.Compare(a.Per, b.Per) })
	if fields := len(n.Content) / 2; fields == 0 || fields == 1 && f.Enforce != nil {
		p.Fault(n, "%s: nothing is limited; leave it out, or set one of requests, concurrent, stream, stream_seconds, bytes", what)
	}
	if l.Empty() {
		return nil
	}
	return l
}

// memberLimits reads limits that apply to each member of a group without bounds, such as client addresses. They have no
// quotas: a count that must last for a month cannot be kept for every member. of names what has the limits for all
// members together, for messages.
func (p *parser) memberLimits(n *yaml.Node, field, each, of string) *Limits {
	l := p.limits(n, field)
	switch {
	case l == nil:
		return nil
	case len(l.Quotas) > 0:
		p.Fault(n, "%s: %s has no quota (%s); write how many requests in what time, such as 20/1m", field, each, l.Quotas[0])
	case l.Stream > 0:
		p.Fault(n, "%s: stream belongs to the limits of %s", field, of)
	}
	return l
}

// amounts reads one limit or a list of them: how much of a unit may be used in what time.
func (p *parser) amounts(l *Limits, n *yaml.Node, unit Unit) {
	one := func(n *yaml.Node) {
		v, ok := p.Text(n, unit.String())
		if !ok {
			return
		}
		if err := l.add(v, unit); err != nil {
			p.Fault(n, "%s: %v", unit, err)
		}
	}
	if n != nil && n.Kind != yaml.SequenceNode {
		one(n)
		return
	}
	p.Sequence(n, "limits", one)
}

// add adds a quota, or a rate of requests, written as N/PER.
func (l *Limits) add(v string, unit Unit) error {
	count, per, err := parseAmount(v, unit)
	if err != nil {
		return err
	}
	if period, ok := ParsePeriod(per); ok {
		if slices.ContainsFunc(l.Quotas, func(o Quota) bool { return o.Unit == unit && o.Period == period }) {
			return fmt.Errorf("there are two quotas for a %s", period)
		}
		l.Quotas = append(l.Quotas, Quota{count, unit, period})
		return nil
	}
	if unit != Requests {
		return fmt.Errorf("%s is not day, week or month", strictyaml.Quote(per))
	}
	r := Rate{N: count}
	r.Per, err = time.ParseDuration(per)
	switch {
	case err != nil || r.Per <= 0:
		return fmt.Errorf("%s is neither a time such as 1s, 1m or 1h nor day, week or month", strictyaml.Quote(per))
	case r.Per > maxRatePer:
		return fmt.Errorf("%s is longer than 31 days; for a quota, write day, week or month", strictyaml.Quote(per))
	case r.Per/time.Duration(count) < minRateEvery:
		return fmt.Errorf("%s is more than a million a second", strictyaml.Quote(v))
	case slices.ContainsFunc(l.Rates, func(o Rate) bool { return o.Per == r.Per }):
		return fmt.Errorf("there are two limits for %s", per)
	}
	l.Rates = append(l.Rates, r)
	return nil
}

// parseAmount reads how many of a unit may be used in what time, as N/PER.
func parseAmount(v string, unit Unit) (count int64, per string, err error) {
	number, per, found := strings.Cut(v, "/")
	if !found {
		return 0, "", fmt.Errorf("%s does not say in what time; write it as 600/1h or 10000/month", strictyaml.Quote(v))
	}
	scale, largest := int64(1), int64(MaxCount)
	switch unit {
	case Bytes:
		number, scale = byteUnit(number)
	case StreamSeconds:
		largest /= 1000 // milliseconds are counted
	}
	count, ok := wholeNumber(number, largest/scale)
	switch {
	case ok:
		return count * scale, per, nil
	case strings.TrimLeft(number, "0") != "" && strings.Trim(number, "0123456789") == "":
		return 0, "", fmt.Errorf("%s is more than can be counted, which is %s", strictyaml.Quote(v), amountString(largest, unit))
	case unit == Bytes:
		return 0, "", fmt.Errorf("%s does not begin with a size such as 500MiB or 2GiB", strictyaml.Quote(v))
	}
	return 0, "", fmt.Errorf("%s does not begin with a whole number from 1", strictyaml.Quote(v))
}

// byteUnit splits the unit off a number of bytes.
func byteUnit(s string) (number string, scale int64) {
	for i, suffix := range byteUnits {
		if number, ok := strings.CutSuffix(s, suffix); ok {
			return number, 1 << (10 * (i + 1))
		}
	}
	return s, 1
}

// wholeNumber reads a number from 1 to limit, written only in digits.
func wholeNumber(s string, limit int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 1 && n <= limit && s[0] != '+'
}

func parseConcurrent(v string) (int, error) {
	n, ok := wholeNumber(v, maxConcurrent)
	if !ok {
		return 0, fmt.Errorf("%s is not a whole number from 1 to %d", strictyaml.Quote(v), maxConcurrent)
	}
	return int(n), nil
}

func parseStreamLimit(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%s is not a time from 1s, such as 10m", strictyaml.Quote(v))
	}
	return d, nil
}
