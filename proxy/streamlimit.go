package proxy

import (
	"bytes"
	"errors"
	"net/http"
	"time"
)

var errStreamLimit = errors.New("the response lasts longer than the limit `stream`")

// limitStream ends the response when its time is over. stop must be called when the response has ended.
func (x *exchange) limitStream() (stop func()) {
	if x.limits.stream == 0 {
		return func() {}
	}
	timer := time.AfterFunc(x.limits.stream, func() { x.cancel(errStreamLimit) })
	return func() { timer.Stop() }
}

// How an event stream of Flowise ends, for its widget and SDKs (packages/server/src/utils/SSEStreamer.ts at 3.1.3).
const flowiseStreamEnd = "message:\ndata:{\"event\":\"error\",\"data\":\"this answer took longer than it may\"}\n\n" +
	"message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n"

// endEvents ends an event stream of Flowise that was cut between two events in the way Flowise does, so that its client
// learns why. It reports whether it did. The goroutine that serves the request calls it, when nothing else writes any
// more.
func (x *exchange) endEvents() bool {
	w := &x.response
	if !w.stream || w.hijacked || !w.betweenEvents || w.failed || !x.proxy.opts.Preset.FlowiseKeys || w.Header().Get("Content-Encoding") != "" {
		return false
	}
	_, err := w.Write([]byte(flowiseStreamEnd))
	return err == nil && http.NewResponseController(w).Flush() == nil
}

// endsEvent reports whether a part of an event stream ends an event.
func endsEvent(piece []byte) bool {
	return bytes.HasSuffix(piece, []byte("\n\n")) || bytes.HasSuffix(piece, []byte("\r\n\r\n"))
}
