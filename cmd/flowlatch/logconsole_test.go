package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// console returns the line for people that a line in JSON becomes.
func console(t testing.TB, line string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := newConsole(&out, false).Write([]byte(line)); err != nil {
		t.Fatalf("line %s: %v", line, err)
	}
	_, rest, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), " ") // without the time
	return rest
}

func TestConsoleLines(t *testing.T) {
	t.Parallel()
	const at = `,"time":"2026-11-28T12:41:52Z"}`
	for _, tt := range []struct{ name, line, want string }{
		{
			"refused", `{"level":"warn","request_id":"405cca5bef2de042ba220641","method":"POST","route":"prediction","chatflow":"support-bot","decision":"refuse","status":401,` +
				`"code":"missing_key","reason":"no bearer token","bytes":250,"ttfb_ms":0.036675,"duration_ms":0.239659,"stream":false,"client":"127.0.0.1","message":"request"` + at,
			`WRN 401 missing_key POST prediction support-bot key=- 127.0.0.1 0.2ms "no bearer token" 405cca5b`,
		},
		{
			"allowed, streamed, traced", `{"level":"info","request_id":"405cca5bef2de042ba220641","method":"POST","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331",` +
				`"route":"prediction","chatflow":"support-bot","key":"acme-web","decision":"allow","status":200,"bytes":1,"ttfb_ms":310.2,"duration_ms":4133.7,"stream":true,"client":"2001:db8::1","message":"request"` + at,
			`INF 200 POST prediction support-bot key=acme-web 2001:db8::1 4.1s stream 405cca5b`,
		},
		{
			"unknown path", `{"level":"warn","request_id":"edge-7","method":"other","decision":"refuse","status":404,"code":"not_exposed","reason":"the path \u001b[31m is not exposed",` +
				`"bytes":1,"duration_ms":31.4,"stream":false,"client":"127.0.0.1","message":"request"` + at,
			`WRN 404 not_exposed other key=- 127.0.0.1 31ms "the path \x1b[31m is not exposed" edge-7`,
		},
		{"name with a blank", `{"level":"info","status":200,"chatflow":"support bot\u202e","client":"::1","duration_ms":125000,"message":"request"` + at, `INF 200 "support bot\u202e" key=- ::1 2m5s`},
		{"field of a later version", `{"level":"info","status":200,"key_fingerprint":"0a1b2c3d","message":"request"` + at, `INF 200 key=- key_fingerprint=0a1b2c3d`},
		{"another line", `{"level":"info","generation":2,"keys_added":["a","b"],"chatflows_removed":3,"message":"key file applied"` + at, `INF key file applied generation=2 chatflows_removed=3 keys_added=["a","b"]`},
		{"error", `{"level":"error","generation":2,"error":"keys.yaml:4: no\nkeys.yaml:5: nor that","message":"key file is invalid"` + at, `ERR key file is invalid error="keys.yaml:4: no\nkeys.yaml:5: nor that" generation=2`},
		{"control bytes in a message", `{"level":"warn","message":"key \u009b31m \u007f \"x\""` + at, `WRN "key \u009b31m \x7f \"x\""`},
		{"control bytes in a list", `{"level":"warn","names":["\u009b31m"],"message":"m"` + at, `WRN m names="[\"\u009b31m\"]"`},
		{"quotes in a message", `{"level":"warn","message":"key \"acme\" … é"` + at, `WRN key "acme" … é`},
		{"nothing", `{"level":"info"` + at, `INF`},
	} {
		if got := console(t, tt.line); got != tt.want {
			t.Errorf("%s = %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for ms, want := range map[string]string{
		"0": "0.0ms", "0.04": "0.0ms", "0.26": "0.3ms", "9.94": "9.9ms", "9.96": "10ms", "999.4": "999ms", "999.6": "1s", "59940": "59.9s", "60400": "1m0s", "3.7e6": "1h1m40s", "x": "x",
	} {
		if got := shortDuration(ms); got != want {
			t.Errorf("shortDuration(%s) = %s, want %s", ms, got, want)
		}
	}
}

// FuzzConsole: whatever is in a field, a line stays one line without control bytes.
func FuzzConsole(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "a\nb", "\u009b31m", "\u202e", "\xff\xfe", `"\`, "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var line bytes.Buffer
		log := zerolog.New(&line)
		log.Warn().Str("request_id", s).Str("chatflow", s).Str("key", s).Str("reason", s).Str("duration_ms", s).Str("other", s).Strs("list", []string{s}).Str("error", s).Msg(s)
		log.Warn().Str("chatflow", s).Str("reason", s).Msg("request")
		for json := range strings.Lines(line.String()) {
			got := console(t, json)
			for _, r := range got {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2028 || !utf8.ValidString(got) {
					t.Errorf("console(%q) = %q, want no control characters", s, got)
				}
			}
		}
	})
}
