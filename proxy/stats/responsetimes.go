package stats

// ResponseTimes says how long allowed requests waited for their response header, since the start.
type ResponseTimes struct {
	// Within has, for each of Buckets, how many requests waited no longer than that.
	Within []uint64
	All    uint64
}

// Buckets returns the upper bounds of ResponseTimes.Within, in seconds. The slice must not be changed.
func Buckets() []float64 { return buckets }

// ResponseTimes returns the response times of all routes.
func (s *Stats) ResponseTimes() ResponseTimes {
	t := ResponseTimes{Within: make([]uint64, len(buckets))}
	families, _ := s.metrics.headers.Gather() // one histogram: cannot fail
	for _, family := range families {
		for _, route := range family.GetMetric() {
			h := route.GetHistogram()
			t.All += h.GetSampleCount()
			for i, b := range h.GetBucket() {
				t.Within[i] += b.GetCumulativeCount()
			}
		}
	}
	return t
}

// Since returns what was added since earlier.
func (t ResponseTimes) Since(earlier ResponseTimes) ResponseTimes {
	if earlier.All == 0 {
		return t
	}
	d := ResponseTimes{Within: make([]uint64, len(t.Within)), All: t.All - earlier.All}
	for i := range d.Within {
		d.Within[i] = t.Within[i] - earlier.Within[i]
	}
	return d
}

// Quantile returns the time, in seconds, within which a share q of the requests got their response, as far as the buckets
// tell, or 0 if there were none. It interpolates between two bounds as Prometheus does; above the last bound, it returns
// that bound.
func (t ResponseTimes) Quantile(q float64) float64 {
	if t.All == 0 {
		return 0
	}
	rank, below, from := q*float64(t.All), uint64(0), 0.0
	for i, n := range t.Within {
		if float64(n) >= rank && n > below {
			return from + (buckets[i]-from)*(rank-float64(below))/float64(n-below)
		}
		below, from = n, buckets[i]
	}
	return from
}
