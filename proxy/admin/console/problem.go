package console

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Problem is why something was not done: problem details as in RFC 9457.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	// Version is that of the key file, for version_changed.
	Version string `json:"version,omitempty"`
	// NewFile is the key file with the change, and File its path, for not_writable.
	File    string `json:"file,omitempty"`
	NewFile string `json:"new_file,omitempty"`
	// Secret is the new secret of the key in NewFile, if it has one.
	Secret string `json:"secret,omitempty"`

	retryAfter time.Duration
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// The codes of problems, each with a section in docs/admin-api.md.
const (
	readOnly        = "read_only"
	tokenRequired   = "admin_token_required"
	tooManyFailures = "too_many_failures"
	malformed       = "malformed"
	notFound        = "not_found"
	refused         = "refused"
	versionRequired = "version_required"
	versionChanged  = "version_changed"
	fileInvalid     = "key_file_invalid"
	notWritable     = "not_writable"
	notApplied      = "not_applied"
	partlyDone      = "partly_done"
)

// kinds are the status and the title of each code.
var kinds = map[string]struct {
	status int
	title  string
}{
	readOnly:        {http.StatusForbidden, "Keys cannot be changed here"},
	tokenRequired:   {http.StatusUnauthorized, "Admin token required"},
	tooManyFailures: {http.StatusTooManyRequests, "Too many wrong admin tokens"},
	malformed:       {http.StatusBadRequest, "Malformed request"},
	notFound:        {http.StatusNotFound, "Not found"},
	refused:         {http.StatusUnprocessableEntity, "Change refused"},
	versionRequired: {http.StatusPreconditionRequired, "Version required"},
	versionChanged:  {http.StatusPreconditionFailed, "Key file has changed"},
	fileInvalid:     {http.StatusConflict, "Key file is invalid"},
	notWritable:     {http.StatusConflict, "Key file cannot be written"},
	notApplied:      {http.StatusInternalServerError, "Change not applied"},
	partlyDone:      {http.StatusInternalServerError, "Change made in part"},
}

// problemTypes begins the type of every problem; the code follows.
const problemTypes = "https://github.com/flowlatch/flowlatch/blob/main/docs/admin-api.md#"

func newProblem(code, detail string) *Problem {
	k := kinds[code]
	return &Problem{Type: problemTypes + code, Title: k.title, Status: k.status, Detail: detail, Code: code}
}

// write sends p as the response.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.Code == tokenRequired {
		h.Set("WWW-Authenticate", `Bearer realm="flowlatch admin"`)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(problem.Seconds(p.retryAfter), 10))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that has left cannot be told
}
