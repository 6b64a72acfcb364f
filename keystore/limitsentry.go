package keystore

import (
	"cmp"
	"errors"
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

var limitFields = []string{"requests", "concurrent", "stream", "stream_seconds", "bytes", "enforce"}

// meant has what people write for the fields of limits, and how to write it.
var meant = map[string]string{
	"rate": "requests: 10/1s", "rates": "requests: 10/1s", "rate_limit": "requests: 10/1s", "rps": "requests: 10/1s", "rpm": "requests: 600/1m",
	"quota": "requests: 10000/month", "quotas": "requests: 10000/month", "daily": "requests: 500/day", "monthly": "requests: 10000/month",
	"concurrency": "concurrent: 4", "max_concurrent": "concurrent: 4", "parallel": "concurrent: 4",
	"timeout": "stream: 10m", "duration": "stream: 10m", "seconds": "stream_seconds: 36000/month",
	"traffic": "bytes: 2GiB/month", "bandwidth": "bytes: 2GiB/month", "size": "bytes: 2GiB/month",
	"observe": "enforce: false", "shadow": "enforce: false", "dry_run": "enforce: false",
}

// ParseLimits reads limits as they stand in a key file, without a line: `requests: [10/1s, 10000/month], concurrent: 4`.
// The error has all that is wrong with them.
func ParseLimits(text string) (*Limits, error) {
	p := &parser{document: &document{Decoder: &strictyaml.Decoder{}}}
	var l *Limits
	if root := p.Document([]byte("{" + text + "}")); root != nil {
		l = p.limits(root, "limits", nil)
	}
	if l != nil { // as an edit writes them, in whatever order they were given
		slices.SortStableFunc(l.Quotas, func(a, b Quota) int { return cmp.Compare(a.Unit, b.Unit) })
	}
	var errs []error
	for _, f := range p.Faults {
		errs = append(errs, errors.New(f.Text))
	}
	return l, errors.Join(errs...)
}

// limits reads the limits at n. perClient is nil where there can be none.
func (p *parser) limits(n *yaml.Node, what string, perClient **Limits) *Limits {
	l := &Limits{}
	limited := false
	fields := limitFields
	if perClient != nil {
		fields = append(slices.Clip(fields), "per_client")
	}
	if !p.Mapping(n, what, fields, func(field string, n *yaml.Node) bool {
		limited = limited || field != "enforce"
		switch field {
		case "requests":
			p.each(n, func(n *yaml.Node) { p.requestLimit(l, n) })
		case "stream_seconds":
			p.each(n, func(n *yaml.Node) { p.quota(l, StreamSeconds, n) })
		case "bytes":
			p.each(n, func(n *yaml.Node) { p.quota(l, Bytes, n) })
		case "concurrent":
			l.Concurrent = int(p.count(n, field, maxConcurrent))
		case "stream":
			l.Stream = p.streamLimit(n)
		case "enforce":
			l.Observe = !p.Bool(n, field)
		case "per_client":
			if perClient == nil {
				return false
			}
			*perClient = p.memberLimits(n, field, "a client address", "the chatflow")
		default:
			as, known := meant[field]
			if known {
				p.Fault(n, "%s has no field %s; write it as `%s`", what, strictyaml.Quote(field), as)
			}
			return known
		}
		return true
	}) {
		return nil
	}
	slices.SortFunc(l.Rates, func(a, b Rate) int { return cmp.Compare(a.Per, b.Per) })
	if l.Empty() {
		l = nil
	}
	if !limited {
		p.Fault(n, "%s: nothing is limited; leave it out, or set one of requests, concurrent, stream, stream_seconds, bytes", what)
	}
	return l
}

// memberLimits reads the limits of each of any number, such as client addresses. They have no quotas: a count that must
// last for a month cannot be kept for all of them. of is whose other limits there are.
func (p *parser) memberLimits(n *yaml.Node, field, each, of string) *Limits {
	l := p.limits(n, field, nil)
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

// each calls item with each item of a list, or with what stands in its place.
func (p *parser) each(n *yaml.Node, item func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		item(n)
		return
	}
	p.Sequence(n, "limits", item)
}

// requestLimit reads a rate, or a quota of requests.
func (p *parser) requestLimit(l *Limits, n *yaml.Node) {
	count, per, ok := p.amount(n, Requests)
	if !ok {
		return
	}
	if period, ok := ParsePeriod(per); ok {
		p.addQuota(l, n, Quota{count, Requests, period})
		return
	}
	r := Rate{N: count}
	var err error
	r.Per, err = time.ParseDuration(per)
	switch {
	case err != nil || r.Per <= 0:
		p.Fault(n, "requests: %s is neither a time such as 1s, 1m or 1h nor day, week or month", strictyaml.Quote(per))
	case r.Per > maxRatePer:
		p.Fault(n, "requests: %s is longer than 31 days; for a quota, write day, week or month", strictyaml.Quote(per))
	case r.Per/time.Duration(count) < minRateEvery:
		p.Fault(n, "requests: %s is more than a million a second", strictyaml.Quote(n.Value))
	case slices.ContainsFunc(l.Rates, func(o Rate) bool { return o.Per == r.Per }):
		p.Fault(n, "requests: there are two limits for %s", per)
	default:
		l.Rates = append(l.Rates, r)
	}
}

// quota reads a quota of a unit that has no rates.
func (p *parser) quota(l *Limits, unit Unit, n *yaml.Node) {
	count, per, ok := p.amount(n, unit)
	if !ok {
		return
	}
	period, ok := ParsePeriod(per)
	if !ok {
		p.Fault(n, "%s: %s is not day, week or month", unit, strictyaml.Quote(per))
		return
	}
	p.addQuota(l, n, Quota{count, unit, period})
}

func (p *parser) addQuota(l *Limits, n *yaml.Node, q Quota) {
	if slices.ContainsFunc(l.Quotas, func(o Quota) bool { return o.Unit == q.Unit && o.Period == q.Period }) {
		p.Fault(n, "%s: there are two quotas for a %s", q.Unit, q.Period)
		return
	}
	l.Quotas = append(l.Quotas, q)
}

// amount reads how many of a unit may be used in what time, as N/PER.
func (p *parser) amount(n *yaml.Node, unit Unit) (count int64, per string, ok bool) {
	v, ok := p.Text(n, unit.String())
	if !ok {
		return 0, "", false
	}
	written, per, found := strings.Cut(v, "/")
	if !found {
		p.Fault(n, "%s: %s does not say in what time; write it as 600/1h or 10000/month", unit, strictyaml.Quote(v))
		return 0, "", false
	}
	number, scale, largest := written, int64(1), int64(MaxCount)
	switch unit {
	case Bytes:
		number, scale = byteUnit(number)
	case StreamSeconds:
		largest /= 1000 // milliseconds are counted
	}
	count, ok = wholeNumber(number, largest/scale)
	switch {
	case !ok && strings.TrimLeft(number, "0") != "" && strings.Trim(number, "0123456789") == "":
		p.Fault(n, "%s: %s is more than can be counted, which is %s", unit, strictyaml.Quote(v), amountString(largest, unit))
	case !ok && unit == Bytes:
		p.Fault(n, "%s: %s does not begin with a size such as 500MiB or 2GiB", unit, strictyaml.Quote(v))
	case !ok:
		p.Fault(n, "%s: %s does not begin with a whole number from 1", unit, strictyaml.Quote(v))
	}
	return count * scale, per, ok
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

// wholeNumber reads a number from 1 to limit, in digits alone.
func wholeNumber(s string, limit int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 1 && n <= limit && s[0] != '+'
}

// count reads a whole number from 1 to limit.
func (p *parser) count(n *yaml.Node, name string, limit int64) int64 {
	v, ok := p.Text(n, name)
	if !ok {
		return 0
	}
	count, ok := wholeNumber(v, limit)
	if !ok {
		p.Fault(n, "%s: %s is not a whole number from 1 to %d", name, strictyaml.Quote(v), limit)
		return 0
	}
	return count
}

func (p *parser) streamLimit(n *yaml.Node) time.Duration {
	v, ok := p.Text(n, "stream")
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second {
		p.Fault(n, "stream: %s is not a time from 1s, such as 10m", strictyaml.Quote(v))
		return 0
	}
	return d
}
