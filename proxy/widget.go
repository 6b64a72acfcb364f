package proxy

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// widgetRoute is where pages get the script that starts Flowise's chat widget with tokens.
var widgetRoute = route.Route{Name: "widget_js", Path: ownPrefixPath + "widget.js", Methods: []string{http.MethodGet}}

//go:embed widget.js
var widgetSource string

// widgetScript returns the script that browsers get, which is the source without indentation and whole-line comments, and
// its entity tag. Browsers ask again after widgetMaxAge, and get 304 if it has not changed. It is made when the first
// browser asks.
var widgetScript = sync.OnceValues(func() (script, tag string) {
	script = regexp.MustCompile(`(?m)^ *(//.*)?\n?|^ +`).ReplaceAllString(widgetSource, "")
	sum := sha256.Sum256([]byte(script))
	return script, `"` + hex.EncodeToString(sum[:8]) + `"`
})

const widgetMaxAge = "max-age=300"

// serveWidget responds with the script, to everybody: nothing in it is secret.
func (p *Proxy) serveWidget(x *exchange, r *http.Request) {
	x.Allowed = true
	x.body.End()
	h := x.response.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", widgetMaxAge)
	script, tag := widgetScript()
	h.Set("ETag", tag)
	http.ServeContent(&x.response, r, "", time.Time{}, strings.NewReader(script))
}
