package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// metric returns the value of a metric, which must be an integer.
func (g *gate) metric(t *testing.T, name string) int {
	t.Helper()
	for line := range strings.Lines(send(t, http.MethodGet, g.Admin+"/metrics", "", "").body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("metrics have no %s", name)
	return 0
}

// series counts flowlatch's metric series.
func (g *gate) series(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(send(t, http.MethodGet, g.Admin+"/metrics", "", "").body) {
		if strings.HasPrefix(line, "flowlatch_") {
			n++
		}
	}
	return n
}
