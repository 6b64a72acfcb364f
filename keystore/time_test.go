package keystore

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 999, time.UTC)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2027-01-31":                "2027-01-31T00:00:00Z",
		"2028-02-29":                "2028-02-29T00:00:00Z",
		"2027-01-31T18:00:00Z":      "2027-01-31T18:00:00Z",
		"2027-01-31T18:00:00+02:00": "2027-01-31T16:00:00Z",
		"2020-01-31":                "2020-01-31T00:00:00Z",
		"12h":                       "2026-11-29T00:00:00Z",
		"1d":                        "2026-11-29T12:00:00Z",
		"90d":                       "2027-02-26T12:00:00Z",
		"2w":                        "2026-12-12T12:00:00Z",
		"1w1d":                      "2026-12-06T12:00:00Z",
		"1d12h30m":                  "2026-11-30T00:30:00Z",
	} {
		if got, err := ParseTime(text, noon); err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "tomorrow", "24", "0", "0s", "0d", "-1h", "-1d", "1d-1h", "1d+1h", "1d1d", "1d1w", "1.5d", "d", "w", "1y", "1mo", "90 d",
		"2027-02-29", "2027-1-31", "2027-01-31 18:00:00", "2027-01-31T18:00:00", "31.01.2027", "01/31/2027", "99999999999d", "999999d", "999999w",
	} {
		if got, err := ParseTime(text, noon); err == nil || !strings.Contains(err.Error(), "2027-01-31") || !strings.Contains(err.Error(), "90d") {
			t.Errorf("ParseTime(%q) = %v, %v, want an error that shows the forms", text, got, err)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "25s": 25 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "500ms": time.Second / 2,
		"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1w2d3h": 9*24*time.Hour + 3*time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "want a duration such as", "soon": "want a duration such as", "-1h": "want a duration such as", "1d-1h": "want a duration such as",
		"24": "with its unit, such as 24s, 24m, 24h or 24d", "1": "1d", "106752d": "want at most 106751 days", "106751d24h": "want a duration", "1d\t": "want a duration",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

// FuzzParseTime checks that a time means the same when it is written as in a key file, that a duration is never negative,
// and that weeks and days have the right length.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2027-01-31", "2027-01-31T18:00:00+02:00", "1w2d3h4m5s", "90d", "0", "-1h", "9223372036854775807ns", "106751d23h47m16s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, durationErr := ParseDuration(text)
		if durationErr == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %v, want 0 or more", text, d)
		}
		if more, err := ParseDuration("1w1d" + text); err == nil && durationErr == nil && more != d+8*24*time.Hour && !strings.ContainsAny(text, "dw") {
			t.Errorf("ParseDuration(1w1d%s) = %v, want 8 days more than %v", text, more, d)
		}
		at, err := ParseTime(text, noon)
		if err != nil {
			if !at.IsZero() {
				t.Errorf("ParseTime(%q) = %v with an error, want the zero time", text, at)
			}
			return
		}
		written := at.Format(time.RFC3339)
		again, err := ParseTime(written, noon.Add(time.Hour))
		if err != nil || !again.Equal(at.Truncate(time.Second)) {
			t.Errorf("ParseTime(%q) = %v, written as %s it is %v, %v", text, at, written, again, err)
		}
	})
}
