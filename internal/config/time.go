package config

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Time is the value of a flag that takes a time. The zero value means none.
type Time struct{ time.Time }

// UnmarshalText parses the value of the flag.
func (t *Time) UnmarshalText(text []byte) (err error) {
	t.Time, err = keystore.ParseTime(string(text), time.Now())
	return err
}

// Until is the value of a flag that says how long something lasts: until a time, as for [Time], or 0 for not at all.
// Its zero value has no meaning.
type Until struct {
	time.Time
	Now bool // it was 0
}

// UnmarshalText parses the value of the flag.
func (u *Until) UnmarshalText(text []byte) (err error) {
	now := time.Now()
	u.Time, err = keystore.ParseUntil(string(text), now)
	u.Now = err == nil && u.Equal(now)
	return err
}

// PastTime is the value of a flag that says when something began. A duration means that long ago. The zero value means
// none.
type PastTime struct{ time.Time }

// UnmarshalText parses the value of the flag.
func (t *PastTime) UnmarshalText(text []byte) (err error) {
	t.Time, err = keystore.ParsePastTime(string(text), time.Now())
	return err
}

// Duration is the value of a flag that takes a duration.
type Duration time.Duration

// UnmarshalText parses the value of the flag.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := keystore.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
