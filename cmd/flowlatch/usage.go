package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
	adminpage "github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

type usageCmd struct {
	config.FileFlag
	config.AdminFlag
	Key   string          `placeholder:"ID" help:"Show the usage of this key alone."`
	Since config.PastTime `placeholder:"TIME" help:"Leave out months that ended before: a day such as 2026-09-01, or a duration before now such as 90d."`
	CSV   bool            `name:"csv" xor:"form" help:"Print CSV, with times in seconds."`
	JSON  bool            `name:"json" xor:"form" help:"Print JSON, with times in milliseconds."`
}

func (usageCmd) Help() string {
	return `Asks a running gate what its keys and chatflows used, by calendar month (UTC). Requests are those that were sent to the
upstream; refused are those that exceeded a limit.

Examples:

  flowlatch usage
  flowlatch usage --key acme-web --since 90d
  flowlatch usage --since 2026-01-01 --csv > usage.csv`
}

// Run prints the usage.
func (cmd *usageCmd) Run(c *config.Config, s streams) error {
	path := "/usage"
	if cmd.Key != "" {
		path += "?key=" + url.QueryEscape(cmd.Key)
	}
	body, err := doctor.Ask(c.Admin, path)
	if err != nil {
		return fmt.Errorf("asking the gate at %s for its usage: %w; is it running, and is this its --admin?", c.Admin, err)
	}
	var status adminpage.UsageStatus
	if err := json.Unmarshal(body, &status); err != nil {
		return fmt.Errorf("what answers at %s is not the admin listener of a flowlatch that counts usage: %w", c.Admin, err)
	}
	if status.NoKey != "" {
		return fmt.Errorf("--key: the gate at %s: %s", c.Admin, status.NoKey)
	}
	if status.Degraded {
		fmt.Fprintln(s.err, "Redis does not answer: this is what one gate knows; others have more.")
	}
	months := slices.DeleteFunc(status.Usage, func(u limit.Usage) bool {
		return u.Period != "month" || !cmd.Since.IsZero() && endOf(u).Before(cmd.Since.Time)
	})
	switch {
	case cmd.JSON:
		return printJSON(s.out, months)
	case cmd.CSV:
		return writeUsageCSV(s.out, months)
	case len(months) == 0:
		fmt.Fprintln(s.err, "Nothing was used in this time.")
		return nil
	}
	t := newTable(s.out)
	row(t, "MONTH", "", "ID", "REQUESTS", "REFUSED", "AT THE UPSTREAM", "BYTES")
	for _, u := range months {
		row(t, u.Start[:len("2006-01")], u.Kind, u.ID, strconv.FormatInt(u.Requests, 10), strconv.FormatInt(u.Refused, 10),
			(time.Duration(u.StreamMillis) * time.Millisecond).Round(time.Second).String(), strconv.FormatInt(u.Bytes, 10))
	}
	return t.Flush()
}

// endOf returns when the month of a usage ends.
func endOf(u limit.Usage) time.Time {
	start, _ := time.Parse(time.DateOnly, u.Start) // the gate wrote it, so it is valid
	return start.AddDate(0, 1, 0)
}

func writeUsageCSV(out io.Writer, all []limit.Usage) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"month", "kind", "id", "requests", "refused", "stream_seconds", "bytes"}) // Flush returns the error
	for _, u := range all {
		_ = w.Write([]string{
			u.Start[:len("2006-01")], u.Kind, u.ID, strconv.FormatInt(u.Requests, 10), strconv.FormatInt(u.Refused, 10),
			strconv.FormatFloat(float64(u.StreamMillis)/1000, 'f', -1, 64), strconv.FormatInt(u.Bytes, 10),
		})
	}
	w.Flush()
	return w.Error()
}
