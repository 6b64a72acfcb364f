package admin_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestPollIsSmall has thousands of keys and chatflows, with long names, limits and two secrets each, and with an hour in which every
// number has four digits. All that the page asks for at once is at most 100 KB, as a browser gets it.
func TestPollIsSmall(t *testing.T) {
	t.Parallel()
	n := 2000 // of which a poll has 100
	if testkit.Long() {
		n = 10_000
	}
	random := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Int64N(1<<48))
	}
	var keys, chatflows []string
	var file, lists strings.Builder
	for i := range n {
		key, chatflow := fmt.Sprintf("key-of-customer-%d", random.Uint32()), id()
		keys, chatflows = append(keys, key), append(chatflows, chatflow)
		fmt.Fprintf(&file, "  - {id: %s, owner: 'Somebody %x, Acme Inc.', not_after: 2200-01-01T00:00:00Z, limits: {requests: [10/1s, %d/month]}, secrets: [{sha256: %s}, {sha256: %016x%048x}]}\n",
			key, random.Uint64(), 1+random.IntN(100_000), keystore.DigestOf(secretOf(i)), random.Uint64(), i)
		fmt.Fprintf(&lists, "  - {id: %s, name: 'Support of %x', keys: [%s]}\n", chatflow, random.Uint64(), key)
	}
	g := newGate(t, "version: 1\nkeys:\n"+file.String()+"chatflows:\n"+lists.String(), nil)
	for i := range 200 { // refused, which needs no upstream
		g.post(t, "/api/v1/prediction/"+chatflows[i], secretOf(n-1-i), "{}")
	}
	g.FillHours(keys, chatflows, func() uint32 { return 1000 + random.Uint32N(9000) })

	size := 0
	for _, path := range []string{"/status?limit=100", "/status/hours?limit=100"} {
		w := g.ask("GET", path, "localhost", "Accept-Encoding: gzip, deflate, br, zstd")
		if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("headers of %s = %v, want gzip", path, w.Header())
		}
		size += w.Body.Len()
		t.Logf("%s: %d bytes, %d if not compressed", path, w.Body.Len(), g.ask("GET", path, "localhost").Body.Len())
		var got struct {
			Keys json.RawMessage `json:"keys"`
		}
		unzipped, err := gzip.NewReader(w.Body)
		if err == nil {
			err = json.NewDecoder(unzipped).Decode(&got)
		}
		if err != nil || len(got.Keys) < 10_000 {
			t.Errorf("keys in %s = %.100s, %v, want those of 100 keys", path, got.Keys, err)
		}
	}
	if size > 100_000 {
		t.Errorf("a poll of the page moves %d bytes, want 100 KB at most", size)
	}
	for _, not := range []string{"", "br", "gzip;q=0", "deflate, gzip; q=0.0"} {
		if w := g.ask("GET", "/status?limit=1", "localhost", "Accept-Encoding: "+not); w.Header().Get("Content-Encoding") != "" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("response with Accept-Encoding %q = %v, want it not compressed", not, w.Header())
		}
	}
}

func secretOf(i int) string { return fmt.Sprintf("secret-of-a-customer-%05d", i) }
