//go:build bench

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// serveHTTPUtil is the subcommand to compare with: a gate made of the standard library, as one would write it in an afternoon, with what can be tuned
// without a Transport of one's own. It checks a key, writes a log line and has metrics, as flowlatch does.
func serveHTTPUtil(ctx context.Context, args []string, _ io.Writer) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: httputil LISTEN ADMIN UPSTREAM KEYS, not %q", args)
	}
	text, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	keys := map[[32]byte]struct{}{}
	for token := range strings.Lines(string(text)) {
		keys[sha256.Sum256([]byte(strings.TrimSpace(token)))] = struct{}{}
	}
	target, err := url.Parse("http://" + args[2])
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true, IdleConnTimeout: time.Minute},
		BufferPool: &buffers{},
	}
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code"})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "request_duration_seconds", Help: "Time to the end of the response.", Buckets: prometheus.DefBuckets})
	registry.MustRegister(requests, seconds)
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()

	gate := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, ok := keys[sha256.Sum256([]byte(token))]; ok {
			proxy.ServeHTTP(s, r)
		} else {
			http.Error(s, "unauthorized", http.StatusUnauthorized)
		}
		took := time.Since(begin)
		requests.WithLabelValues(codes[s.status]).Inc()
		seconds.Observe(took.Seconds())
		log.Info().Str("method", r.Method).Str("path", r.URL.Path).Int("status", s.status).Dur("duration_ms", took).Str("client", r.RemoteAddr).Msg("request")
	})
	admin := &http.Server{Addr: args[1], Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), ReadHeaderTimeout: time.Minute}
	server := &http.Server{Addr: args[0], Handler: gate, ReadHeaderTimeout: time.Minute}
	go func() { _ = admin.ListenAndServe() }() // ends with the process
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

// buffers is a pool of copy buffers.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 8<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

var codes = func() (c [1000]string) {
	for i := range c {
		c[i] = fmt.Sprint(i)
	}
	return c
}()

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
