package limit_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

func use(t *testing.T, l *limit.Local, id string, limits *keystore.Limits, now time.Time, u limit.Use) string {
	t.Helper()
	return begin(l, []limit.Holder{{Kind: limit.Key, ID: id, Limits: limits}, {Kind: limit.Chatflow, ID: "flow"}}, now, u)
}

func usage(t *testing.T, l *limit.Local, now time.Time) []limit.Usage {
	t.Helper()
	all, err := l.Usage(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestUsage sends requests in two months. Both months are reported, but days and weeks only while they last.
func TestUsage(t *testing.T) {
	var l limit.Local
	two := parse(t, "requests: 2/month")
	december := noon.AddDate(0, 0, 4) // a Wednesday
	for _, at := range []time.Time{noon, noon, noon, december} {
		use(t, &l, "a", two, at, limit.Use{Bytes: 10, Time: 1500 * ms})
	}
	use(t, &l, "b", nil, december, limit.Use{})
	row := func(kind, id, period, start string, requests, refused int64) limit.Usage {
		u := limit.Usage{Kind: kind, ID: id, Period: period, Start: start, Requests: requests, Refused: refused}
		if u.StreamMillis, u.Bytes = requests*1500, requests*10; id == "b" {
			u.StreamMillis, u.Bytes = 0, 0
		}
		return u
	}
	flow := row("chatflow", "flow", "day", "2026-12-02", 1, 0)
	flow.Requests = 2
	flowWeek, flowMonth := flow, flow
	flowWeek.Period, flowWeek.Start = "week", "2026-11-30"
	flowMonth.Period, flowMonth.Start = "month", "2026-12-01"
	want := []limit.Usage{
		row("key", "a", "day", "2026-12-02", 1, 0),
		row("key", "a", "month", "2026-11-01", 2, 1),
		row("key", "a", "month", "2026-12-01", 1, 0),
		row("key", "a", "week", "2026-11-30", 1, 0),
		row("key", "b", "day", "2026-12-02", 1, 0),
		row("key", "b", "month", "2026-12-01", 1, 0),
		row("key", "b", "week", "2026-11-30", 1, 0),
		flow, row("chatflow", "flow", "month", "2026-11-01", 2, 1), flowMonth, flowWeek,
	}
	if diff := cmp.Diff(want, usage(t, &l, december)); diff != "" {
		t.Errorf("Usage (-want +got):\n%s", diff)
	}
}

// TestUsageFile restarts a gate. Quotas and usage continue where they were.
func TestUsageFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.json")
	limits := parse(t, "requests: [2/day, 3/week]")
	open := func(now time.Time) (*limit.Local, *limit.File) {
		t.Helper()
		l := &limit.Local{}
		f, err := limit.OpenFile(path, l, now)
		if err != nil {
			t.Fatal(err)
		}
		return l, f
	}
	end := func(l *limit.Local, f *limit.File, now time.Time) {
		t.Helper()
		if err := f.Save(l, now); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	l, f := open(noon)
	if _, err := limit.OpenFile(path, &limit.Local{}, noon); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("OpenFile of a file that is open = %v, want who has it", err)
	}
	use(t, l, "a", limits, noon, limit.Use{Bytes: 5})
	use(t, l, "a", limits, noon, limit.Use{Bytes: 5})
	before := usage(t, l, noon)
	end(l, f, noon)

	l, f = open(noon)
	if diff := cmp.Diff(before, usage(t, l, noon)); diff != "" {
		t.Errorf("Usage after a restart (-want +got):\n%s", diff)
	}
	if got := use(t, l, "a", limits, noon, limit.Use{}); got != "quota 12h0m0s" {
		t.Errorf("third request of the day after a restart = %s, want the quota used up", got)
	}
	end(l, f, noon)

	tomorrow := noon.AddDate(0, 0, 1)
	l, f = open(tomorrow)
	for n, want := range []string{"ok", "quota 12h0m0s"} {
		if got := use(t, l, "a", limits, tomorrow, limit.Use{}); got != want {
			t.Errorf("request %d of the next day, whose week has one left = %s, want %s", n+1, got, want)
		}
	}
	end(l, f, tomorrow)
}

// TestUsageFileIsAPipe uses as usage file a named pipe that nobody writes to: an error, and not a hang.
func TestUsageFileIsAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := limit.OpenFile(path, &limit.Local{}, noon); err == nil || !strings.Contains(err.Error(), "named pipe") {
		t.Errorf("OpenFile of a named pipe = %v, want that it is one", err)
	}
}

// TestUsageFileAndLinks puts one link in place of the temporary file that used to be written, and one in place of the
// usage file. Nothing is written through the first, and the second stays a link.
func TestUsageFileAndLinks(t *testing.T) {
	dir := t.TempDir()
	path, real, other := filepath.Join(dir, "usage.json"), filepath.Join(dir, "real.json"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{filepath.Join(dir, ".usage.json.new"): other, filepath.Join(dir, ".real.json.new"): other, path: real} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	var l limit.Local
	f := open(t, path, &l, noon)
	use(t, &l, "a", nil, noon, limit.Use{})
	closeFile(t, f, &l, noon)
	if got, _ := os.ReadFile(other); string(got) != "theirs" {
		t.Errorf("file of somebody else = %q, want it left alone", got)
	}
	if to, err := os.Readlink(path); err != nil || to != real {
		t.Errorf("usage file = %q, %v, want the link to %s", to, err, real)
	}
	if got, _ := os.ReadFile(real); !strings.Contains(string(got), `"requests":1`) {
		t.Errorf("file behind the link = %q, want the usage", got)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*flowlatch*"))
	if left != nil {
		t.Errorf("files left over: %q", left)
	}
}

// TestUsageFileFaults opens invalid files. Each is left alone, and its error says what is wrong and what to do.
func TestUsageFileFaults(t *testing.T) {
	const entry = `{"kind":"key","id":"a","period":"day","start":"2026-11-28","requests":1,"refused":0,"stream_ms":0,"bytes":0}`
	for content, want := range map[string]string{
		"":                              "EOF",
		"null":                          "its version is 0",
		"{":                             "EOF",
		`{"version":2}`:                 "its version is 2, this gate reads 1",
		`{"version":1,"more":1}`:        "unknown field",
		`{"version":1}`:                 "it has no list `usage`",
		`{"version":1,"usage":null}`:    "it has no list `usage`",
		`{"version":1,"usage":[]} more`: "something follows its JSON",
		`{"version":1,"usage":[]}{}`:    "something follows its JSON",
		`{"version":1,"usage":[{"kind":"key","id":"a","id":"b"}],"usage":[]}`:                                                        "a name occurs twice",
		`{"version":1,"usage":[{"kind":"x"}]}`:                                                                                       `entry 1 (x ""): kind "x" is neither key nor chatflow`,
		`{"version":1,"usage":[` + entry + `,` + entry + `]}`:                                                                        `entry 2 (key "a"): entry 1 is of the same day`,
		`{"version":1,"usage":[{"kind":"key","id":"a","period":"day","start":"2026-11-28","requests":1,"refused":0,"stream_ms":0}]}`: "a number is negative or missing",
		`{"version":1,"usage":[` + strings.Replace(entry, `"bytes":0`, `"bytes":9007199254740993`, 1) + `]}`:                         "9007199254740993 is more than can be counted",
		`{"version":1,"usage":[` + strings.Replace(entry, `"bytes":0`, `"bytes":null`, 1) + `]}`:                                     "a number is negative or missing",
		`{"version":1,"usage":[{"kind":"key","id":"a","period":"year"}]}`:                                                            `period "year" is not day, week or month`,
		`{"version":1,"usage":[{"kind":"key","id":"a","period":"day","start":"28.11.2026"}]}`:                                        "is not a date",
		`{"version":1,"usage":[{"kind":"key","id":"a","period":"week","start":"2026-11-28"}]}`:                                       "is not the first day of a week",
		`{"version":1,"usage":[{"kind":"key","id":"a","period":"day","start":"2026-11-28","bytes":-1}]}`:                             "a number is negative",
	} {
		path := filepath.Join(t.TempDir(), "usage.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := limit.OpenFile(path, &limit.Local{}, noon)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "repair it, or move it away") {
			t.Errorf("OpenFile of %q = %v, want %q and what to do", content, err, want)
		}
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("file after the fault = %q, want it left alone", now)
		}
	}
}
