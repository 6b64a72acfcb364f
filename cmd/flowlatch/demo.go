package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

type demoCmd struct {
	Listen string `default:"127.0.0.1:8080" help:"Address where clients connect."`
	Admin  string `default:"127.0.0.1:9901" help:"Address of the admin listener."`
}

func (demoCmd) Help() string {
	return `Starts a stand-in for Flowise, a gate in front of it and a key for one chatflow, and prints requests to try.
Nothing needs to be installed or configured, and nothing is left behind.

Example:

  flowlatch demo`
}

const (
	demoChatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	demoKeys     = `version: 1
keys:
  - {id: demo, sha256: %s}
  - {id: somebody-else, sha256: %s}
chatflows:
  - {id: %s, name: support-bot, keys: [demo]}
  - {id: 8d2b6c1f-7777-4888-9999-aaaabbbbcccc, name: docs-search, keys: [somebody-else]}
`
)

// Run runs the demo until a signal ends it.
func (cmd *demoCmd) Run(s streams) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	dir, err := os.MkdirTemp("", "flowlatch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys, secret, other := filepath.Join(dir, "keys.yaml"), keystore.Generate(), keystore.Generate()
	content := fmt.Sprintf(demoKeys, keystore.DigestOf(secret), keystore.DigestOf(other), demoChatflow)
	if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
		return err
	}
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: standIn(), ReadHeaderTimeout: 10 * time.Second}
	defer upstream.Close()
	go func() { _ = server.Serve(upstream) }() // ends with Close

	flowise := route.Flowise()
	c := &config.Config{
		Listen: cmd.Listen, Admin: cmd.Admin, Keys: keys, LogConsole: true, LogLevel: zerolog.InfoLevel,
		Proxy: proxy.Options{Preset: flowise, Routes: flowise.Routes, Upstream: &url.URL{Scheme: "http", Host: upstream.Addr().String()}},
	}
	return serve(ctx, c, s.err, func(data, admin net.Addr) { printDemo(s.out, data, admin, secret, other) })
}

// printDemo prints a request for each case worth seeing. What the requests share is set once, which keeps their lines
// short.
func printDemo(w io.Writer, data, admin net.Addr, secret, other string) {
	fmt.Fprintf(w, `This is a demo: the gate is real, the upstream behind it is a stand-in that repeats the question.

Try, in another terminal. Set these once:

URL=http://%s/api/v1/prediction/%s
KEY='Authorization: Bearer %s'
OTHER='Authorization: Bearer %s'
JSON='Content-Type: application/json'

`, data, demoChatflow, secret, other)
	for _, try := range []struct{ about, key, body string }{
		{"allowed", ` -H "$KEY"`, `{"question":"Hello?"}`},
		{"allowed, streamed", ` -H "$KEY"`, `{"question":"How are you today?","streaming":true}`},
		{"no key: 401", "", `{"question":"Hello?"}`},
		{"a wrong key: 401", ` -H "${KEY}x"`, `{"question":"Hello?"}`},
		{"a key for another chatflow: 403", ` -H "$OTHER"`, `{"question":"Hello?"}`},
	} {
		fmt.Fprintf(w, "# %s\ncurl -sN $URL%s -H \"$JSON\" -d '%s'\n\n", try.about, try.key, try.body)
	}
	fmt.Fprintf(w, "# what the gate knows; in a browser: %s\ncurl -s http://%s/status\n\n", statusPage(admin), admin)
	fmt.Fprint(w, "The log of the gate follows. Ctrl-C ends the demo and leaves nothing behind.\n\n")
}

// standIn returns the upstream of the demo. It responds to predictions as Flowise does, whole or streamed, by repeating
// the question.
func standIn() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/prediction/{chatflow}", standInPrediction)
	mux.HandleFunc("GET /api/v1/chatflows-streaming/{chatflow}", func(w http.ResponseWriter, _ *http.Request) {
		writeStandIn(w, map[string]any{"isStreaming": true})
	})
	mux.HandleFunc("GET /api/v1/ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pong") })
	return mux
}

func writeStandIn(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}

func standInPrediction(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Question  string `json:"question"`
		Streaming bool   `json:"streaming"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil {
		http.Error(w, "the stand-in takes JSON with a question", http.StatusBadRequest)
		return
	}
	text := "You said: " + in.Question
	if !in.Streaming {
		writeStandIn(w, map[string]any{"text": text, "question": in.Question, "chatId": "demo"})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(kind string, data any) {
		b, _ := json.Marshal(map[string]any{"event": kind, "data": data})
		fmt.Fprintf(w, "message:\ndata:%s\n\n", b)
		_ = http.NewResponseController(w).Flush()
	}
	event("start", "")
	for _, word := range strings.SplitAfter(text, " ") {
		event("token", word)
		select {
		case <-time.After(250 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	event("end", "[DONE]")
}
