package admin

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// compressor compresses what a page asks for again and again. A status of 100 keys and 100 chatflows with their last
// hour is some 220 KB, and a third of that when compressed. Nothing in it is secret, so its size may give away what is
// in it.
type compressor struct {
	mu  sync.Mutex // guards zip, which has buffers of 1 MB; not held while anything is sent
	zip *gzip.Writer
}

// write sends v as JSON without blanks, compressed if the client accepts that.
func (c *compressor) write(w http.ResponseWriter, r *http.Request, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Vary", "Accept-Encoding")
	if !takesGzip(r.Header) {
		_ = json.NewEncoder(w).Encode(v) // a client that has left cannot be told
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(c.compress(v)) // as above
}

func (c *compressor) compress(v any) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b bytes.Buffer
	if c.zip == nil {
		c.zip, _ = gzip.NewWriterLevel(&b, gzip.BestSpeed) // no error: the level is valid
	}
	c.zip.Reset(&b)
	_ = json.NewEncoder(c.zip).Encode(v) // into memory, where nothing fails
	_ = c.zip.Close()
	return b.Bytes()
}

// takesGzip reports whether a client accepts a compressed response (RFC 9110, section 12.5.3).
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.ToLower(weight), "0.") != "q="
		}
	}
	return false
}
