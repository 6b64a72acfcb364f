package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// How times are written in flags, settings and the environment. A key file has RFC 3339 alone, since what it says must
// not depend on when it is read.

const day = 24 * time.Hour

// weeksAndDays matches what a duration may begin with, which package time has no units for.
var weeksAndDays = regexp.MustCompile(`^(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?`)

// ParseDuration parses a duration as Go writes them, such as 1h30m, that may begin with weeks and days, such as 2w or
// 1d12h. It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	m := weeksAndDays.FindStringSubmatch(text)
	weeks, _ := strconv.Atoi(m[1]) // empty is 0
	days, _ := strconv.Atoi(m[2])
	rest := text[len(m[0]):]
	if days += 7 * weeks; days > int(math.MaxInt64/day) {
		return 0, fmt.Errorf("%q: want at most %d days", text, math.MaxInt64/day)
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
		return 0, fmt.Errorf("%q: want a duration such as 25s, 10m, 1h30m or 90d", text)
	}
	return d + more, nil
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// ParseTime parses a time: a day, which stands for its beginning in UTC, a time as RFC 3339 writes it, or a duration from
// now on.
func ParseTime(text string, now time.Time) (time.Time, error) { return parseTime(text, now, 1) }

// parseTime is ParseTime for durations after now, if sign is 1, or before now, if it is -1.
func parseTime(text string, now time.Time, sign time.Duration) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() { // which would mean none
			return t, nil
		}
	}
	d, err := ParseDuration(text)
	if err != nil || d == 0 {
		from := "from"
		if sign < 0 {
			from = "before"
		}
		return time.Time{}, fmt.Errorf("%q: want a day such as 2027-01-31, a time such as 2027-01-31T18:00:00Z, or a duration %s now such as 90d or 12h", text, from)
	}
	return now.Add(sign * d).UTC().Truncate(time.Second), nil
}

// Time is the value of a flag that takes a time. The zero value is none.
type Time struct{ time.Time }

// UnmarshalText parses the value of the flag.
func (t *Time) UnmarshalText(text []byte) (err error) {
	t.Time, err = ParseTime(string(text), time.Now())
	return err
}

// Until is the value of a flag that takes a time until which something lasts: as [Time], or 0 for not at all. It has no zero
// value of its own.
type Until struct {
	time.Time
	Now bool // it was 0
}

// UnmarshalText parses the value of the flag.
func (u *Until) UnmarshalText(text []byte) (err error) {
	now := time.Now()
	switch d, err := ParseDuration(string(text)); {
	case err == nil && d == 0:
		u.Time, u.Now = now.UTC(), true
		return nil
	case isNumber(string(text)): // without a unit
		return err
	}
	u.Time, err = ParseTime(string(text), now)
	return err
}

// PastTime is the value of a flag that takes a time at which something began: a duration is one before now. The zero value is none.
type PastTime struct{ time.Time }

// UnmarshalText parses the value of the flag.
func (t *PastTime) UnmarshalText(text []byte) (err error) {
	t.Time, err = parseTime(string(text), time.Now(), -1)
	return err
}

// Duration is the value of a flag that takes a duration.
type Duration time.Duration

// UnmarshalText parses the value of the flag.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}
