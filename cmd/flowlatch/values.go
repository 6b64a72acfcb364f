package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// How the text of a setting is understood. Every error says what is wanted instead.

func required(value string) (string, error) {
	if value == "" {
		return "", errors.New("must not be empty")
	}
	return value, nil
}

func oneOf(value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%q: want %s", value, strings.Join(values, " or "))
}

func list(value string) (items []string) {
	for s := range strings.SplitSeq(value, ",") {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(items, s) {
			items = append(items, s)
		}
	}
	return items
}

func address(value string) (string, error) {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return "", fmt.Errorf("%q: want HOST:PORT, or :PORT for every address of this machine", value)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("%q: the port must be a number from 0 to 65535", value)
	}
	return value, nil
}

func upstreamURL(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if strings.Contains(value, "@") {
		return nil, errors.New("user and password do not belong into a URL; use --upstream-authorization file:PATH if the runner wants a credential")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return nil, fmt.Errorf("%q: want a URL such as http://127.0.0.1:3000, without query or fragment", value)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%q: the port must be a number from 1 to 65535", value)
		}
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func origin(value string) (*url.URL, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // none is a setting
	}
	u, err := upstreamURL(value)
	if strings.Contains(value, "@") {
		return nil, err
	}
	if err != nil || u.Path != "" {
		return nil, fmt.Errorf("%q: want an origin such as https://flows.example.com, without a path", value)
	}
	return u, nil
}

func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // none is a setting
	}
	return certificate.Authorities(path)
}

func duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q: want a length of time such as 25s, 10m or 1h30m", value)
	}
	return d, nil
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})\s*(B|KB|KiB|MB|MiB|GB|GiB)?$`)

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

func size(value string) (int64, error) {
	m := sizePattern.FindStringSubmatch(value)
	if m == nil {
		return 0, fmt.Errorf("%q: want a size such as 50MiB (B, KB, MB, GB, KiB, MiB, GiB)", value)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := sizeUnits[m[2]]
	if err != nil || n == 0 || n > (1<<50)/unit {
		return 0, fmt.Errorf("%q: want more than nothing and at most 1 PiB", value)
	}
	return n * unit, nil
}

func networks(value string) (prefixes []netip.Prefix, err error) {
	var errs []error
	for _, s := range list(value) {
		p, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); addrErr == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%q: want a network such as 10.0.0.0/8, or an address", s))
		case p.Bits() == 0:
			errs = append(errs, fmt.Errorf("%q: that is everybody, and anybody could say to be anybody; name the proxies' networks", s))
		default:
			prefixes = append(prefixes, p.Masked())
		}
	}
	return prefixes, errors.Join(errs...)
}

func failureLimit(value string) (proxy.FailureLimit, error) {
	if value == "off" {
		return proxy.FailureLimit{Burst: -1}, nil
	}
	number, per, _ := strings.Cut(value, "/")
	n, err1 := strconv.ParseUint(number, 10, 24)
	d, err2 := time.ParseDuration(per)
	if err1 != nil || err2 != nil || n == 0 || d <= 0 {
		return proxy.FailureLimit{}, fmt.Errorf("%q: want a number and a time, such as 30/1m, or off", value)
	}
	return proxy.FailureLimit{Burst: int(n), Per: d}, nil
}

// closest returns a question after the known name nearest to name, or nothing.
func closest(name string, known []string) string {
	best, least := "", 4
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
