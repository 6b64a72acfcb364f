package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestConnectionNamesManyHeaders has a request with many headers and a Connection header that names as many: looking up
// each of the ones among all of the others takes minutes, and still a hundred milliseconds for as many as a client
// without a key can send.
func TestConnectionNamesManyHeaders(t *testing.T) {
	const headers = 20_000
	in := http.Header{"X-Kept": {"yes"}, "X-Last": {"no"}, "Connection": {strings.Repeat("close,", 10*headers), "x-LAST"}}
	for i := range headers {
		in["X-"+strconv.Itoa(i)] = []string{"kept"}
	}
	made := make(chan http.Header)
	go func() {
		x := &exchange{proxy: &Proxy{opts: Options{Preset: route.Flowise()}}}
		x.Request = &route.Request{}
		made <- (&forwarding{exchange: x}).upstreamHeader(in)
	}()
	select {
	case h := <-made:
		if len(h["X-Last"]) != 0 || h.Get("X-Kept") != "yes" || h.Get("X-0") != "kept" {
			t.Errorf("headers = X-Kept %q, X-0 %q, X-Last %q, want the first two alone", h["X-Kept"], h["X-0"], h["X-Last"])
		}
	case <-time.After(20 * time.Second):
		t.Error("the headers were not made within 20 s")
	}
}
