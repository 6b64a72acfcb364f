package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// consoleParts are the fields that a line for people shows as bare values, in this order. All but the first three are
// fields of requests.
var consoleParts = []string{
	zerolog.TimestampFieldName, zerolog.LevelFieldName, zerolog.MessageFieldName,
	"status", "code", "method", "route", "chatflow", "key", "client", "duration_ms", "stream", "reason", "request_id",
}

// newConsole returns a writer of log lines for people (--log-format console):
//
//	12:41:52 WRN 401 missing_key POST prediction support-bot key=- 127.0.0.1 0.2ms "no bearer token" 405cca5b
//
// No control byte reaches the terminal, wherever it came from.
func newConsole(to io.Writer, color bool) zerolog.ConsoleWriter {
	return zerolog.ConsoleWriter{
		Out: to, NoColor: !color, TimeFormat: time.TimeOnly, PartsOrder: consoleParts,
		FieldsOrder:           []string{"error", "generation", "listen", "upstream", "status_page", "keys", "chatflows"},
		FieldsExclude:         append([]string{"decision", "bytes", "ttfb_ms", "trace_id", "span_id"}, consoleParts[3:]...),
		FormatPrepare:         prepareConsole,
		FormatMessage:         func(message any) string { return printable(text(message)) },
		FormatPartValueByName: consolePart,
		FormatFieldValue:      func(value any) string { return printable(text(value)) },
	}
}

// prepareConsole leaves out the message of a request's line, which is always the same, and marks a missing key.
func prepareConsole(line map[string]any) error {
	if line[zerolog.MessageFieldName] != "request" {
		return nil
	}
	delete(line, zerolog.MessageFieldName)
	if line["key"] == nil {
		line["key"] = "-"
	}
	return nil
}

// consolePart returns a field's value as the line shows it, or "" to leave it out.
func consolePart(value any, name string) string {
	if value == nil {
		return ""
	}
	s := text(value)
	switch name {
	case "key":
		return "key=" + word(s)
	case "duration_ms":
		return shortDuration(s)
	case "stream":
		return map[bool]string{true: "stream"}[value == true]
	case "reason":
		return strconv.Quote(s)
	case "request_id":
		if ownRequestID.MatchString(s) { // the first digits are enough to find it
			return s[:8]
		}
	}
	return word(s)
}

var ownRequestID = regexp.MustCompile(`^[0-9a-f]{24}$`)

// text returns the text of a value from zerolog: nil, a string, a number, or JSON.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	}
	return fmt.Sprint(value)
}

// word returns s, quoted if it could not be told from the values beside it.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, ` "\`) {
		return strconv.Quote(s)
	}
	return printable(s)
}

// printable returns s, quoted if it has characters that a terminal may take for a command.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// shortDuration returns milliseconds with as many digits as matter: 0.2ms, 31ms, 4.1s, 2m5s.
func shortDuration(ms string) string {
	n, err := json.Number(ms).Float64()
	if err != nil {
		return word(ms)
	}
	switch d := time.Duration(n * float64(time.Millisecond)); {
	case n < 9.95:
		return fmt.Sprintf("%.1fms", n)
	case n < 999.5:
		return fmt.Sprintf("%.0fms", n)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
