//go:build bench

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// refusal is a kind of refused request.
type refusal struct {
	name, request string
	times         []float64 // µs from the first byte sent to the header of the response
}

// oracle measures whether a client without a valid key can tell by the time of a refusal what the gate knows: whether a chatflow is listed, and what is
// wrong with a key. Kinds of refusals are sent in random order over one connection, so that whatever else the machine does hits all of them alike.
func oracle(ctx context.Context, o *options, out io.Writer) error {
	keys := newFixture(1000)
	secrets := map[string]string{}
	var refused []key
	for id, more := range map[string]string{"expired": "not_after: 2020-01-01T00:00:00Z", "disabled": "disabled: true", "future": "not_before: 2200-01-01T00:00:00Z"} {
		secrets[id] = keystore.Generate()
		refused = append(refused, key{ID: id, SHA256: keystore.DigestOf(secrets[id]).String(), More: "    " + more + "\n"})
	}
	file := filepath.Join(o.dir, "keys.yaml")
	if err := keys.keyFile(len(keys.tokens), refused...).write(file); err != nil {
		return err
	}
	i, err := flowlatch(flowlatchName, o.binary).start(ctx, o.dir, o.upstream.addr, keys, 1, file)
	if err != nil {
		return err
	}
	defer i.close()

	listed, unlisted := chatflowOf(0), "ffffffff-ffff-4fff-8fff-ffffffffffff"
	conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(i.Port))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	fmt.Fprintf(out, "%s; %d requests of each kind over one connection.\n\n", machine(), o.samples)
	for _, group := range []struct {
		title string
		kinds []*refusal
	}{
		{"without a key", []*refusal{
			{name: "unlisted chatflow", request: post(unlisted, "", askRefused)},
			{name: "listed chatflow", request: post(listed, "", askRefused)},
		}},
		{"with a key that is not valid", []*refusal{
			{name: "unknown", request: post(listed, keystore.Generate(), askRefused)},
			{name: "unknown, unlisted chatflow", request: post(unlisted, keystore.Generate(), askRefused)},
			{name: "expired", request: post(listed, secrets["expired"], askRefused)},
			{name: "disabled", request: post(listed, secrets["disabled"], askRefused)},
			{name: "not valid yet", request: post(listed, secrets["future"], askRefused)},
			{name: "expired, for another chatflow", request: post(unlisted, secrets["expired"], askRefused)},
		}},
	} {
		progress("%s", group.title)
		if err := refuse(conn, group.kinds, o.samples); err != nil {
			return err
		}
		t := table{{group.title, "p10, µs", "p50, µs", "p90, µs", "slower than the first, ± 2 standard errors"}}
		for _, k := range group.kinds {
			slices.Sort(k.times)
			at := func(q float64) string { return number(k.times[int(q*float64(len(k.times)-1))]) }
			p, e := slower(group.kinds[0].times, k.times)
			t.add(k.name, at(.1), at(.5), at(.9), fmt.Sprintf("%.3f ± %.3f", p, e))
		}
		t.print(out)
	}
	return nil
}

// refuse sends requests of all kinds in random order.
func refuse(conn net.Conn, kinds []*refusal, samples int) error {
	r := bufio.NewReader(conn)
	var order []*refusal
	for range samples {
		order = append(order, kinds...)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	length := int64(-1)
	for n, k := range order {
		begin := time.Now()
		if _, err := io.WriteString(conn, k.request); err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		took := time.Since(begin)
		body, err := io.Copy(io.Discard, res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if n == 0 {
			length = body
		}
		if res.StatusCode != http.StatusUnauthorized || body != length {
			return fmt.Errorf("%s: status %s and %d bytes, want 401 and %d bytes as the first", k.name, res.Status, body, length)
		}
		if n > len(order)/20 { // warm
			k.times = append(k.times, float64(took.Nanoseconds())/1000)
		}
	}
	return nil
}

// slower returns the chance that one of b is larger than one of a, ties counted half, and twice its standard error if there is no difference (the
// Mann-Whitney statistic). Both are sorted.
func slower(a, b []float64) (p, e float64) {
	var wins float64
	below, upTo := 0, 0
	for _, v := range b {
		for below < len(a) && a[below] < v {
			below++
		}
		upTo = max(upTo, below)
		for upTo < len(a) && a[upTo] <= v {
			upTo++
		}
		wins += float64(below) + float64(upTo-below)/2
	}
	n, m := float64(len(a)), float64(len(b))
	return wins / (n * m), 2 * math.Sqrt((n+m+1)/(12*n*m))
}
