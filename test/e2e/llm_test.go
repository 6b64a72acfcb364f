//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// pace is the time between two words, so that each is sent, and arrives, by itself.
const pace = 20 * time.Millisecond

// llm imitates a language model behind Ollama's POST /api/chat. It responds to a question with reply(question), and can
// pause in the middle of a response until a test has seen its beginning.
type llm struct {
	url string

	mu    sync.Mutex
	calls []string                 // the text of every request, in order of arrival
	held  map[string]chan struct{} // question → closed when its responses may go on
}

// reply returns the response to a question: three words, the middle one being the question if that is one word.
func reply(question string) string { return "heard " + question + " well" }

func newLLM(t *testing.T) *llm {
	t.Helper()
	l := &llm{held: make(map[string]chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/chat", l.chat)
	mux.HandleFunc("POST /api/embed", respond(`{"embeddings":[[0.1,0.2,0.3]]}`))
	mux.HandleFunc("POST /api/embeddings", respond(`{"embedding":[0.1,0.2,0.3]}`))
	mux.HandleFunc("POST /v1/audio/transcriptions", respond(`{"text":"spoken"}`)) // OpenAI's
	mux.HandleFunc("POST /v1/audio/speech", respond("no sound, but bytes"))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	return l
}

// respond returns a handler of a model that always says the same.
func respond(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// hold makes every response to a question pause after its first word, until release is called.
func (l *llm) hold(t *testing.T, question string) (release func()) {
	t.Helper()
	ch := make(chan struct{})
	l.mu.Lock()
	l.held[question] = ch
	l.mu.Unlock()
	release = sync.OnceFunc(func() { close(ch) })
	t.Cleanup(release)
	return release
}

// asked returns how many requests mentioned a question.
func (l *llm) asked(question string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, call := range l.calls {
		if strings.Contains(call, question) {
			n++
		}
	}
	return n
}

// arrive records a request and returns the channel on which its response waits after the first word, or nil.
func (l *llm) arrive(text string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, text)
	for question, ch := range l.held {
		if strings.Contains(text, question) {
			return ch
		}
	}
	return nil
}

// content is the text of a message, which beside images is a part of a list.
type content string

// UnmarshalJSON takes a string, or a list of parts.
func (c *content) UnmarshalJSON(b []byte) error {
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(b, &parts) != nil {
		return json.Unmarshal(b, (*string)(c))
	}
	for _, p := range parts {
		*c += content(p.Text)
	}
	return nil
}

func (l *llm) chat(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Stream   *bool `json:"stream"` // absent means true
		Messages []struct {
			Content content `json:"content"`
		} `json:"messages"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || len(in.Messages) == 0 {
		http.Error(w, "not a chat request", http.StatusBadRequest)
		return
	}
	held := l.arrive(string(body))
	words := strings.SplitAfter(reply(string(in.Messages[len(in.Messages)-1].Content)), " ")

	w.Header().Set("Content-Type", "application/x-ndjson")
	if in.Stream != nil && !*in.Stream {
		if wait(r, held) {
			writeChunk(w, strings.Join(words, ""), true)
		}
		return
	}
	for i, word := range words {
		writeChunk(w, word, false)
		if i == 0 && !wait(r, held) {
			return
		}
		if !wait(r, time.After(pace)) {
			return
		}
	}
	writeChunk(w, "", true)
}

// wait reports whether the channel was ready before the client disconnected. A nil channel is always ready.
func wait[T any](r *http.Request, ready <-chan T) bool {
	if ready == nil {
		return true
	}
	select {
	case <-ready:
		return true
	case <-r.Context().Done():
		return false
	}
}

func writeChunk(w http.ResponseWriter, text string, last bool) {
	chunk := map[string]any{
		"model":      "stand-in",
		"created_at": "2026-01-01T00:00:00Z",
		"message":    map[string]string{"role": "assistant", "content": text},
		"done":       last,
	}
	if last {
		chunk["done_reason"] = "stop"
		chunk["prompt_eval_count"] = 1
		chunk["eval_count"] = 1
	}
	_ = json.NewEncoder(w).Encode(chunk) // fails only if the client has disconnected
	_ = http.NewResponseController(w).Flush()
}
