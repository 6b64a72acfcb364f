package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

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
