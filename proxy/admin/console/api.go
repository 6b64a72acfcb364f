package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

// operation is an operation of the API.
type operation struct {
	Method, Path string
	// Body is the zero value of the request's body; nil if there is none.
	Body any
	// Response is the zero value of the response.
	Response any

	status int // of the response; 0 means 200

	show   func(c *Console, r *http.Request, f *file) (any, *Problem)
	change changeFunc
}

// changeFunc returns the change to make. id is the one in the path; body is a pointer to a value of Body's type.
type changeFunc func(c *Console, f *file, id string, body any) (change, *Problem)

// of returns the function of a change that needs nothing but an ID.
func of(do func(c *Console, f *file, id string) (change, *Problem)) changeFunc {
	return func(c *Console, f *file, id string, _ any) (change, *Problem) { return do(c, f, id) }
}

// with returns the function of a change that needs a body.
func with[T any](do func(c *Console, f *file, id string, body *T) (change, *Problem)) changeFunc {
	return func(c *Console, f *file, id string, body any) (change, *Problem) { return do(c, f, id, body.(*T)) }
}

// maxBody is the size of the largest request body, in bytes.
const maxBody = 64 << 10

// serveAPI responds to a program.
func (c *Console) serveAPI(w http.ResponseWriter, r *http.Request, op *operation) {
	response, version, p := c.operate(w, r, op)
	if p != nil {
		p.write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", `"`+version+`"`)
	if op.status != 0 {
		w.WriteHeader(op.status)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(response) // a client that has left cannot be told
}

func (c *Console) operate(w http.ResponseWriter, r *http.Request, op *operation) (response any, version string, p *Problem) {
	if c.door == nil {
		return nil, "", newProblem(readOnly, "this gate has no --admin-token, so keys are changed in the key file or by `flowlatch key`")
	}
	if refusal := c.door.Bearer(r); refusal != nil {
		return nil, "", refusalProblem(refusal)
	}
	f, p := c.read()
	if p != nil {
		return nil, "", p
	}
	if op.show != nil {
		response, p = op.show(c, r, f)
		return response, f.version, p
	}
	wanted, p := ifMatch(r.Header)
	if p != nil {
		return nil, "", p
	}
	var body any
	if op.Body != nil {
		if body, p = decode(w, r, op.Body); p != nil {
			return nil, "", p
		}
	}
	ch, p := op.change(c, f, r.PathValue("id"), body)
	if p != nil {
		return nil, "", p
	}
	ch.version = wanted
	changed, p := c.apply(operator{client: signin.Client(r)}, f, ch)
	if p != nil {
		return nil, "", p
	}
	return changed, changed.Version, nil
}

func refusalProblem(refusal *signin.Refusal) *Problem {
	p := newProblem(tokenRequired, "send the admin token: Authorization: Bearer TOKEN, with what is in the file of --admin-token")
	if refusal.RetryAfter > 0 {
		p = newProblem(tooManyFailures, "too many wrong admin tokens came from this address; try again later")
		p.retryAfter = refusal.RetryAfter
	}
	return p
}

// ifMatch returns the version that a change is based on. It is empty for any version, which the client must ask for
// with *.
func ifMatch(h http.Header) (string, *Problem) {
	value := strings.TrimSpace(h.Get("If-Match"))
	if value == "" {
		return "", newProblem(versionRequired, `say which version of the key file you have seen: If-Match: with the ETag of a GET, or * for any`)
	}
	if value == "*" {
		return "", nil
	}
	version, ok := strings.CutPrefix(value, `"`)
	version, quoted := strings.CutSuffix(version, `"`)
	if !ok || !quoted || version == "" {
		return "", newProblem(malformed, "If-Match: want the ETag of a GET with its quotes, or *")
	}
	return version, nil
}

// decode reads a JSON body strictly, since a member that is ignored could mean more access than was intended. No body
// means an object without members.
func decode(w http.ResponseWriter, r *http.Request, zero any) (any, *Problem) {
	body := reflect.New(reflect.TypeOf(zero)).Interface()
	if r.ContentLength == 0 {
		return body, nil
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return nil, newProblem(malformed, "want a body with Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(body)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something behind the JSON object")
		}
	}
	if err != nil {
		return nil, newProblem(malformed, fmt.Sprintf("the body cannot be read: %v; docs/admin-api.md has the members of each", err))
	}
	return body, nil
}
