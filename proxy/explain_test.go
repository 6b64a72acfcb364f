package proxy_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestExplain compares explanations of requests with what the gate does with them.
func TestExplain(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) { o.Expose = []string{"predict", "widget"} })
	keys := openStore(t, g.keys).Snapshot()
	secrets := map[string]string{"": "", "key-a": secretA, "key-b": secretB, "ops": secretOps, "old": secretExpired}
	targets := [][3]string{
		{"POST", "/api/v1/prediction/" + botA},
		{"POST", "/api/v1/prediction/" + unlisted},
		{"GET", "/api/v1/chatflows-streaming/" + botA},
		{"POST", "/api/v1/vector/upsert/" + botA},
		{"GET", "/"},
		{"GET", "/api/v1/ping"},
		{"POST", "/api/v1/%70rediction/" + botA},
		{"PUT", "/api/v1/prediction/" + botA},
		{"GET", "/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f"},
		{"POST", "/api/v1/leads", `{"chatflowid":"` + botA + `"}`},
		{"PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", `{}`},
	}
	for id, secret := range secrets {
		for _, r := range targets {
			e := g.proxy.Explain(r[0], r[1], []byte(r[2]), keys.Key(id))
			headers := []string{jsonType}
			if secret != "" {
				headers = append(headers, bearerOf(secret))
			}
			res := g.request(t, r[0], r[1], r[2], headers...)
			text := ""
			for _, l := range e.Lines {
				text += l[0] + ": " + l[1] + "\n"
			}
			if e.Allowed != (res.status == 200) || !e.Allowed && !strings.Contains(text, res.problem.Code) {
				t.Errorf("Explain(%s %s, key %q) =\n%s; want what the gate does: %d %s", r[0], r[1], id, text, res.status, res.problem.Code)
			}
		}
	}
	e := g.proxy.Explain("POST", "/api/v1/vector/upsert/"+botA, nil, keys.Key("key-a"))
	if last := e.Lines[len(e.Lines)-1]; !strings.Contains(last[1], "group upsert") {
		t.Errorf("last line of the explanation = %q, want the group that would have to be exposed", last)
	}
}
