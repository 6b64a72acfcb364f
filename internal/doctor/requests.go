package doctor

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// maxListed is how many requests that got through are told one by one.
const maxListed = 20

// requests sends the probes to the gate.
func (e *examination) requests() error {
	const check = "spellings"
	if err := e.whoAnswers(); err != nil {
		return err
	}
	found := map[verdict][]string{}
	probes := e.target.probes(e.URL.Path, unknownChatflow())
	for sent, p := range probes {
		replies, err := send(e.URL, e.Certificates, p)
		if err != nil {
			return fmt.Errorf("after %d requests: %w", sent, err)
		}
		worst := slices.MaxFunc(replies, func(a, b reply) int { return cmp.Compare(e.target.judge(a), e.target.judge(b)) })
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

// whoAnswers looks whether it is flowlatch that answers. An error means that nobody does, or that it shuts down.
func (e *examination) whoAnswers() error {
	path := strings.ReplaceAll(e.target.call(), nobody, unknownChatflow())
	replies, err := send(e.URL, e.Certificates, probe{header: "POST " + e.URL.Path + path + " HTTP/1.1\r\nContent-Length: 0\r\n"})
	switch {
	case err != nil:
		return err
	case replies[0].code == string(problem.Draining):
		return errors.New("the gate is shutting down")
	case replies[0].code == "":
		e.add("gate", Open, "%s is not answered by flowlatch (%v): clients go around it; publish the gate's port there and nothing else", e.URL, replies[0])
	default:
		e.add("gate", OK, "flowlatch answers at %s", e.URL)
	}
	return nil
}

// unknownChatflow returns the ID of a chatflow that does not exist.
func unknownChatflow() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
