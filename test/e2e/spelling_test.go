//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// spellings are request targets that Flowise 2.2.8 or 3.1.4 may take for POST /api/v1/prediction/{id}, because it
// decodes the URL and strips markup from it before it looks at it (sanitizeMiddleware in packages/server/src/utils/XSS.ts),
// or that a gate might take for something else than Flowise does. ID stands for the chatflow.
var spellings = []string{
	"/api/v1/%70rediction/ID",
	"/%61pi/v1/prediction/ID",
	"/api/v1/%2570rediction/ID",
	"/api/v1/&#112;rediction/ID",
	"/api/v1/&#x70;rediction/ID",
	"/api/v1&sol;prediction&sol;ID",
	"/api/v1/pre<x>diction/ID",
	"/api/v1/pre%3Cx%3Ediction/ID",
	"/api/v1/prediction/<b>ID",
	"/api/v1/prediction/<!--x-->ID",
	"/api/v1/prediction/<script>x</script>ID",
	"/api/v1/prediction/ID/",
	"/api/v1/prediction/ID//",
	"/api/v1/prediction//ID",
	"/api/v1//prediction/ID",
	"//api/v1/prediction/ID",
	"/api/v1/prediction/ID%20",
	"/api/v1/prediction/ID%0a",
	"/api/v1/prediction/%20ID",
	"/api/v1/prediction/ID%2F",
	"/api/v1/prediction/ID;x=1",
	"/api/v1/prediction/ID#x",
	"/api/v1/prediction/ID%23x",
	"/api/v1/prediction/ID%3Fx",
	"/api/v1/prediction/ID.json",
	"/api/v1/prediction/ID/x",
	"/api/v1/./prediction/ID",
	"/api/v1/ping/../prediction/ID",
	"/api/v1/ping/%2e%2e/prediction/ID",
	"/api/v1/ping/..%2fprediction/ID",
	"/api/v1/prediction\\ID",
	"/api/v1/PREDICTION/ID",
	"/API/v1/prediction/ID",
	"/api/v1/prediction",
	"/api/v1/prediction/",
	"http://localhost/api/v1//prediction/ID",
}

func oddSpellings(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen)
	g := l.serve(t, keys.path)

	id := l.flows.fnOpen
	targets := []string{
		"/api/v1/prediction/" + strings.ToUpper(id),
		"/api/v1/prediction/{" + id + "}",
		"/api/v1/prediction/" + strings.ReplaceAll(id, "-", ""),
		"/api/v1/prediction/%" + fmt.Sprintf("%02x", id[0]) + id[1:],
		"/api/v1/prediction/%25" + fmt.Sprintf("%02x", id[0]) + id[1:],
	}
	for _, s := range spellings {
		targets = append(targets, strings.ReplaceAll(s, "ID", id))
	}

	ran, questions := 0, []string(nil)
	for _, target := range targets {
		direct := unique()
		if _, err := post(t, l.flowise.url, target, "", direct); err == nil && l.flowise.asked(t, id, direct) {
			ran++
		}
		for _, k := range []string{"", key} {
			q := unique()
			questions = append(questions, q)
			got, err := post(t, g.URL, target, k, q)
			if err != nil || got.status != http.StatusBadRequest && got.status != http.StatusNotFound {
				t.Errorf("POST %s (key %t) = %v, %v, want 400 or 404", target, k != "", got, err)
			}
		}
	}
	if ran == 0 {
		t.Error("none of the spellings runs the chatflow on Flowise itself, want some: else this proves nothing")
	}
	t.Logf("%d of %d spellings run the chatflow on Flowise itself", ran, len(targets))
	l.neverRan(t, id, questions...)
}

// post sends a prediction with exactly this request target, which net/http would rewrite.
func post(t *testing.T, base, target, key, question string) (response, error) {
	t.Helper()
	addr := strings.TrimPrefix(base, "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(timeout))

	body := fmt.Sprintf(`{"question":%q}`, question)
	header := fmt.Sprintf("Host: %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", addr, len(body))
	if key != "" {
		header += "Authorization: Bearer " + key + "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\n%s\r\n%s", target, header, body); err != nil {
		return response{}, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, b}, err
}
