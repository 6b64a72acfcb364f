package proxy

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// ownTokenRoute is where the server behind a web page asks for a browser token.
var ownTokenRoute = route.Route{Name: "token", Path: ownPrefixPath + "token", Methods: []string{http.MethodPost}}

// Limits for the body of such a request.
const (
	maxTokenBody  = 8 << 10 // bytes
	tokenBodyTime = 10 * time.Second
)

// tokenRequest is the body of such a request. A list of one may be written as a plain string.
type tokenRequest struct {
	Chatflow token.List `json:"chatflow"`
	Origin   token.List `json:"origin"`
	User     string     `json:"user"`
	TTL      *int64     `json:"ttl"` // in seconds
	Messages *int64     `json:"messages"`
}

// tokenResponse is the response.
type tokenResponse struct {
	Token     string `json:"token"`
	ExpiresAt int64  `json:"expires_at"` // in seconds since 1970
}

// serveOwnToken mints a browser token for the holder of a key; the token may do less than the key. It refuses requests of
// pages, because a page must not hold a key. Such requests count against no limit.
func (p *Proxy) serveOwnToken(x *exchange, r *http.Request) {
	if len(r.Header["Origin"]) > 0 {
		x.refuseOwn(problem.New(problem.KeyNotForChatflow, "a web page must not hold an API key: ask for the token on your server, which sends no Origin"))
		return
	}
	if !p.decideOwn(x) {
		return
	}
	x.tokenOutcome = "denied"
	request, refusal := p.readTokenRequest(x)
	if refusal != nil {
		x.refuseOwn(refusal)
		return
	}
	t, err := request.Of(x.Key, x.snapshot, x.now)
	var text string
	if err == nil {
		text, err = p.opts.Tokens.Mint(t)
	}
	if err != nil {
		refusal := problem.New(problem.BadRequest, err.Error())
		if e, ok := errors.AsType[*token.RequestError](err); ok && e.NotAllowed {
			refusal.Code = problem.KeyNotForChatflow
		}
		x.refuseOwn(refusal)
		return
	}
	x.tokenOutcome = "minted"
	p.stats.Use(&x.counted, x.Key, x.Secret, x.started)
	x.body.End()
	h := x.response.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	body, _ := json.Marshal(tokenResponse{text, t.Expires.Unix()}) // never fails
	_, _ = x.response.Write(append(body, '\n'))                    // a client that has left cannot be told
}

// tokenForm tells a client what a valid request looks like.
const tokenForm = `want {"chatflow": "ID", "origin": "https://www.example.com", "user": "42", "ttl": 600, "messages": 50}, of which the first two are required, as application/json`

// readTokenRequest reads the body of a request for a token.
func (p *Proxy) readTokenRequest(x *exchange) (request token.Request, refusal *problem.Error) {
	if !x.body.IsJSON() {
		return request, problem.New(problem.BadRequest, tokenForm)
	}
	buffered, refusal := x.body.Buffer(p.bodyBudget, body.Client{Addr: x.client, HasKey: true}, body.Limits{Size: maxTokenBody, Time: tokenBodyTime})
	if refusal != nil {
		return request, refusal
	}
	defer buffered.Close()
	var in tokenRequest
	if err := json.Unmarshal(buffered.Content(), &in, json.RejectUnknownMembers(true)); err != nil {
		return request, problem.New(problem.BadRequest, faultOf(err)+tokenForm)
	}
	request = token.Request{Chatflows: in.Chatflow, Origins: in.Origin, User: in.User}
	if in.TTL != nil {
		request.TTL = wholeSeconds(*in.TTL)
	}
	if in.Messages != nil {
		request.Messages = cmp.Or(*in.Messages, -1) // zero is an error here, and must not come to mean any number
	}
	return request, nil
}

// faultOf says which member of a request is at fault, without repeating what the client sent.
func faultOf(err error) string {
	var at *json.SemanticError
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "a member is not known; "
	case errors.As(err, &at) && slices.Contains(tokenMembers, firstToken(at.JSONPointer)):
		return firstToken(at.JSONPointer) + ": this is not what it should be; "
	}
	return ""
}

var tokenMembers = []string{"chatflow", "origin", "user", "ttl", "messages"}

func firstToken(p jsontext.Pointer) string {
	for name := range p.Tokens() {
		return name
	}
	return ""
}

// wholeSeconds returns the requested time. It keeps invalid times invalid, and those that would overflow too long.
func wholeSeconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	if n < 1 {
		return -1
	}
	return time.Duration(min(n, most)) * time.Second
}
