// Package doctor looks at a running gate from outside and says what is open: it sends requests that no gate may let
// through, looks for ways to the upstream that do not lead through the gate, and reads the admin listener and the key
// file. It changes nothing, and its requests run no chatflow even if the gate has a hole.
package doctor

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Gate is the gate to examine and what is around it.
type Gate struct {
	URL          *url.URL          // where clients connect, as seen from here
	Preset       *route.Preset     // the kind of upstream that the gate is said to stand in front of
	Upstream     *url.URL          // the upstream's own address; nil: ways around the gate are not looked for
	UpstreamAPI  string            // API key with which Flowise lists its chatflows; empty: none
	Admin        string            // address of the admin listener
	AdminNamed   bool              // somebody named it; otherwise Admin is where most gates have it
	KeyFile      string            // empty: it is not read
	Certificates []tls.Certificate // client certificates, for a gate that asks for one
}

// Result is how a check ended.
type Result string

// The results.
const (
	Open       Result = "OPEN"
	Fault      Result = "FAULT" // what was given does not belong together
	Look       Result = "look"  // worth a look: it may be intended
	OK         Result = "ok"
	NotChecked Result = "-"
)

var results = []Result{Open, Fault, Look, OK, NotChecked} // the worst first

// Failed reports whether a check with this result failed.
func (r Result) Failed() bool { return r == Open || r == Fault }

// Finding is one thing that was found.
type Finding struct {
	Check  string
	Result Result
	Text   string
}

// Examine runs all checks and returns what was found, the worst first. An error means that the gate cannot be reached.
func Examine(g Gate) ([]Finding, error) {
	e := &examination{Gate: g, target: targets[g.Preset.Name], now: time.Now()}
	if err := e.requests(); err != nil {
		return nil, err
	}
	e.sameGate()
	e.pathPrefix()
	e.aroundTheGate()
	e.keyFile()
	e.adminListener()
	e.upstreamKeys()
	slices.SortStableFunc(e.findings, func(a, b Finding) int { return slices.Index(results, a.Result) - slices.Index(results, b.Result) })
	return e.findings, nil
}

// examination collects what is found.
type examination struct {
	Gate
	target   *target
	now      time.Time
	findings []Finding

	isGate    bool   // flowlatch answers at the URL
	refusedID string // request ID of a request that it refused
	noRoute   bool   // the gate has no route for a call of a chatflow

	adminErr   error              // why there is no status
	status     *admin.Status      // nil unless it is proven to be that of the gate at the URL
	keys       *keystore.Snapshot // of the key file; nil if it was not read
	keysProven bool               // the gate has applied the same keys
}

func (e *examination) add(check string, r Result, format string, args ...any) {
	e.findings = append(e.findings, Finding{check, r, fmt.Sprintf(format, args...)})
}
