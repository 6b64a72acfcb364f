package doctor

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// maxListed is how many requests that got through are listed one by one.
const maxListed = 20

// requests sends the probes to the gate.
func (e *examination) requests() error {
	const check = "spellings"
	if err := e.whoAnswers(); err != nil {
		return err
	}
	found := map[verdict][]string{}
	probes := e.target.probes(e.URL.Host, e.URL.Path, unknownChatflow())
	replies, err := e.sendAll(probes)
	if err != nil {
		return err
	}
	for i, p := range probes {
		worst := slices.MaxFunc(replies[i], func(a, b reply) int { return cmp.Compare(e.target.judge(a), e.target.judge(b)) })
		v := e.target.judge(worst)
		found[v] = append(found[v], fmt.Sprintf("%s: %v", p.name, worst))
	}
	passed, unknown := found[through], found[other]
	if len(unknown) > 0 {
		e.add(check, Look, "%d of %d requests were answered by something that is not flowlatch, such as %s; make sure that it does not lead to the upstream", len(unknown), len(probes), unknown[0])
	}
	if len(passed) == 0 {
		e.add(check, OK, "none of %d requests got through: the gate refused %d, an HTTP server that did not understand them %d, something else answered %d", len(probes), len(found[refused]), len(found[notUnderstood]), len(unknown))
		return nil
	}
	e.add(check, Open, "%d of %d requests that no gate may let through were; let nothing but flowlatch reach the upstream, and nothing in front of it rewrite paths", len(passed), len(probes))
	for _, p := range passed[:min(len(passed), maxListed)] {
		e.add(check, Open, "%s", p)
	}
	if more := len(passed) - maxListed; more > 0 {
		e.add(check, Open, "and %d more", more)
	}
	return nil
}

// atOnce is how many requests are sent at once. One at a time would be slow, since send waits for further replies to
// some of them.
const atOnce = 8

// sendAll sends probes and returns the replies to each.
func (e *examination) sendAll(probes []probe) ([][]reply, error) {
	replies, errs := make([][]reply, len(probes)), make([]error, len(probes))
	var senders sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		senders.Go(func() {
			for i := range next {
				replies[i], errs[i] = send(e.URL, e.Certificates, probes[i])
			}
		})
	}
	for i := range probes {
		next <- i
	}
	close(next)
	senders.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, fmt.Errorf("%s does not respond any more, at request %d of %d: %w; is the gate still running?", e.URL, i+1, len(probes), errs[i])
	}
	return replies, nil
}

// whoAnswers checks whether flowlatch answers. An error means that there is nothing to examine.
func (e *examination) whoAnswers() error {
	r, err := e.callNobody(e.URL, e.Certificates)
	switch {
	case err != nil && isNotTLS(err):
		return fmt.Errorf("%s does not speak TLS; begin --url with http://", e.URL)
	case err != nil && isUnreachable(err):
		return fmt.Errorf("%s cannot be reached: %w; is the gate running, and is it there?", e.URL, err)
	case err != nil:
		return fmt.Errorf("%s: %w", e.URL, err)
	case r.timedOut:
		return fmt.Errorf("%s does not respond within %s, so nothing was examined; does the gate, or what is in front of it, hang?", e.URL, probeTimeout)
	case r.code == string(problem.Draining):
		return fmt.Errorf("%s: the gate is shutting down; ask again when it runs", e.URL)
	case r.code == "" && e.URL.Scheme == "http" && speaksTLS(e.URL):
		return fmt.Errorf("%s speaks TLS; begin --url with https://", e.URL)
	case r.code == "" && r.location != "":
		return fmt.Errorf("%s redirects (%d) to %q; name with --url where clients end up", e.URL, r.status, r.location)
	case r.code == "":
		e.add("gate", Open, "%s is not answered by flowlatch (%v): clients go around it; publish the gate's port there and nothing else", e.URL, r)
	default:
		e.isGate, e.refusedID, e.noRoute = true, r.requestID, r.code == string(problem.NotExposed)
		e.add("gate", OK, "flowlatch answers at %s", e.URL)
	}
	return nil
}

// callNobody calls a chatflow that does not exist, without a key.
func (e *examination) callNobody(base *url.URL, certificates []tls.Certificate) (reply, error) {
	path := strings.ReplaceAll(e.target.call(), nobody, unknownChatflow())
	replies, err := send(base, certificates, probe{header: "POST " + base.Path + path + " HTTP/1.1\r\nContent-Length: 0\r\n"})
	if err != nil {
		return reply{}, err
	}
	return replies[0], nil
}

// isFlowlatch reports whether a gate answers at a URL. It calls a chatflow, because a gate may let through a path that
// the upstream answers to everyone.
func (e *examination) isFlowlatch(base *url.URL) bool {
	r, err := e.callNobody(base, e.Certificates)
	return err == nil && r.code != ""
}

// unknownChatflow returns the ID of a chatflow that does not exist.
func unknownChatflow() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
