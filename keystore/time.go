package keystore

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// This is how times are written in flags, settings, the environment and the admin API. A key file takes only RFC 3339,
// since what it says must not depend on when it is read.

const day = 24 * time.Hour

// weeksAndDays matches the weeks and days that a duration may begin with. Package time has no units for them.
var weeksAndDays = regexp.MustCompile(`^(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?`)

// ParseDuration parses a duration as Go writes it, such as 1h30m. It may begin with weeks and days, as in 2w or 1d12h,
// and is never negative.
func ParseDuration(text string) (time.Duration, error) {
	m := weeksAndDays.FindStringSubmatch(text)
	weeks, _ := strconv.Atoi(m[1]) // empty is 0
	days, _ := strconv.Atoi(m[2])
	rest := text[len(m[0]):]
	if days += 7 * weeks; days > int(math.MaxInt64/day) {
		return 0, fmt.Errorf("%.40q: want at most %d days", text, math.MaxInt64/day)
	}
	d := time.Duration(days) * day
	if rest == "" && m[0] != "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	switch {
	case err != nil && isNumber(text):
		return 0, fmt.Errorf("%q: want a duration with its unit, such as %ss, %sm, %sh or %sd", text, text, text, text, text)
	case err != nil || rest[0] == '-' || rest[0] == '+' || more < 0 || more > math.MaxInt64-d:
		return 0, fmt.Errorf("%.40q: want a duration such as 25s, 10m, 1h30m or 90d", text)
	}
	return d + more, nil
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// ParseTime parses a time: a day, which means its beginning in UTC; a time in the format of RFC 3339; or a duration from
// now.
func ParseTime(text string, now time.Time) (time.Time, error) { return parseTime(text, now, 1) }

// ParsePastTime is [ParseTime] with durations that count back from now.
func ParsePastTime(text string, now time.Time) (time.Time, error) { return parseTime(text, now, -1) }

func parseTime(text string, now time.Time, sign time.Duration) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() { // the zero time would mean none
			return t, nil
		}
	}
	d, err := ParseDuration(text)
	if err != nil || d == 0 {
		from := "from"
		if sign < 0 {
			from = "before"
		}
		return time.Time{}, fmt.Errorf("%.40q: want a day such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or a duration %s now such as 90d or 12h", text, from)
	}
	return now.Add(sign * d).UTC().Truncate(time.Second), nil
}

// ParseUntil parses the time at which something ends: as [ParseTime] does, or 0 for now.
func ParseUntil(text string, now time.Time) (time.Time, error) {
	switch d, err := ParseDuration(text); {
	case err == nil && d == 0:
		return now.UTC(), nil
	case isNumber(text): // without a unit
		return time.Time{}, err
	}
	return ParseTime(text, now)
}
