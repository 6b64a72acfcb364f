package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// BenchmarkBrowserToken sends requests with keys and with browser tokens in turn, through a gate with real sockets on
// both sides. It reports, by medians, what a request with a token costs in proportion to one with a key: if its body is
// not checked, and if it is, compared with a key for a chatflow that denies the same members.
func BenchmarkBrowserToken(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(responseBody)))
		_, _ = io.WriteString(w, responseBody)
	}))
	defer upstream.Close()
	const strict = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	secretOne, secretTwo := keystore.Generate(), keystore.Generate()
	file := testkit.WriteFile(b, "keys.yaml", "version: 1\nkeys:\n"+
		"  - {id: free, secret: "+secretOne+", browser: {origins: [https://www.example.com], allow: [overrideConfig, uploads, history]}}\n"+
		"  - {id: usual, secret: "+secretTwo+", browser: {origins: [https://www.example.com]}}\n"+
		"chatflows:\n  - {id: "+bubbleBot+", keys: [free, usual]}\n  - {id: "+strict+", keys: [usual], body: {deny: [overrideConfig, uploads, history]}}\n")
	store, err := keystore.Open(file, keystore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	u, _ := url.Parse(upstream.URL)
	p, err := New(Options{Store: store, Upstream: u, Log: zerolog.New(io.Discard).Level(zerolog.InfoLevel)})
	if err != nil {
		b.Fatal(err)
	}
	gate := httptest.NewServer(p)
	defer gate.Close()
	tokenOf := func(key string) string {
		text, err := p.opts.Tokens.Mint(token.Token{
			Key: key, Chatflows: []string{bubbleBot}, Origins: []string{"https://www.example.com"}, User: "42", Issued: time.Now(), Expires: time.Now().Add(10 * time.Minute),
		})
		if err != nil {
			b.Fatal(err)
		}
		return text
	}
	requests := []string{
		benchRequest(secretOne), benchRequest(tokenOf("free")),
		strings.Replace(benchRequest(secretTwo), bubbleBot, strict, 1), benchRequest(tokenOf("usual")),
	}
	conn, err := net.Dial("tcp", gate.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	var took [4][]time.Duration
	for b.Loop() {
		for i, request := range requests {
			request = strings.Replace(request, "\r\n", "\r\nOrigin: https://www.example.com\r\n", 1)
			begun := time.Now()
			if _, err := io.WriteString(conn, request); err != nil {
				b.Fatal(err)
			}
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != http.StatusOK {
				b.Fatal(res, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			took[i] = append(took[i], time.Since(begun))
		}
	}
	median := func(i int) float64 { slices.Sort(took[i]); return float64(took[i][len(took[i])/2]) }
	b.ReportMetric(median(0), "ns/key")
	b.ReportMetric(median(1)/median(0), "token/key")
	b.ReportMetric(median(3)/median(2), "token/key-checked")
	b.ReportMetric(median(3)/median(0), "token-checked/key")
}
