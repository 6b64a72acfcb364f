//go:build bench

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics reads metrics of flowlatch, by name and labels.
func (i *instance) metrics(names ...string) (map[string]float64, error) {
	res, err := control.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", i.Admin))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	got := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		for _, name := range names {
			if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				if got[name], err = strconv.ParseFloat(value, 64); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(got) != len(names) {
		return nil, fmt.Errorf("metrics %q = %v", names, got)
	}
	return got, lines.Err()
}

// reload has the key file read again and returns its generation.
func (i *instance) reload() (generation uint64, err error) {
	res, err := control.Post(fmt.Sprintf("http://127.0.0.1:%d/-/reload", i.Admin), "", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	var r struct{ Generation uint64 }
	if err := json.Unmarshal(body, &r); err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("reload = %d %s", res.StatusCode, body)
	}
	return r.Generation, nil
}

// holdings is what a gate holds without requests.
type holdings struct {
	goroutines, descriptors float64
	resident                float64 // MiB
}

// settle waits until the gate holds no more than before, a minute at most, and returns what it holds. Without a before, it returns the least that
// the gate holds within ten seconds, in which idle connections to the upstream are closed.
func (i *instance) settle(ctx context.Context, before *holdings) (least holdings, err error) {
	begin := time.Now()
	err = i.wait(ctx, 90*time.Second, 200*time.Millisecond, "rest", func() (bool, error) {
		m, err := i.metrics("go_goroutines")
		if err != nil {
			return false, err
		}
		descriptors, err := i.descriptors()
		if err != nil {
			return false, err
		}
		now := holdings{goroutines: m["go_goroutines"], descriptors: float64(descriptors)}
		if least == (holdings{}) {
			least = now
		}
		least.goroutines, least.descriptors = min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors)
		if before == nil {
			return time.Since(begin) > 10*time.Second, nil
		}
		return least.goroutines <= before.goroutines && least.descriptors <= before.descriptors || time.Since(begin) > time.Minute, nil
	})
	if err != nil {
		return least, err
	}
	least.resident, err = i.resident("VmRSS")
	return least, err
}

// left returns what the gate holds after a load, which must not be more than before.
func (h holdings) left(before holdings) []reading {
	return []reading{
		{"goroutines, " + number(before.goroutines) + " before", h.goroutines, before.goroutines, ""},
		{"descriptors, " + number(before.descriptors) + " before", h.descriptors, before.descriptors, ""},
	}
}
