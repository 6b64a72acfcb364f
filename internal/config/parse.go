package config

import (
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

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// Parsers for the text of settings. Every error says what is wanted instead.

func required(text string) (string, error) {
	if text == "" {
		return "", errors.New("must not be empty")
	}
	return text, nil
}

func anyText(text string) (string, error) { return text, nil }

// checked returns a parser that returns the value unchanged, with the error that check returns for it.
func checked[T any](check func(T) error) func(T) (T, error) {
	return func(value T) (T, error) { return value, check(value) }
}

// optional returns a parser for what may be left out: empty text is the zero value.
func optional[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (value T, err error) {
		if text == "" {
			return value, nil
		}
		return parse(text)
	}
}

func oneOf(text string, words ...string) error {
	if slices.Contains(words, text) {
		return nil
	}
	return fmt.Errorf("%q: want %s", text, strings.Join(words, " or "))
}

// is returns a parser that accepts one of some words, and returns whether it is yes.
func is(yes string, words ...string) func(string) (bool, error) {
	return func(text string) (bool, error) { return text == yes, oneOf(text, words...) }
}

// items splits text at commas. Each item is returned once.
func items(text string) (items []string) {
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(items, s) {
			items = append(items, s)
		}
	}
	return items
}

// Address parses HOST:PORT to listen on or connect to.
func Address(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q: want HOST:PORT, or :PORT for every address of this machine", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("%q: the port must be a number from 0 to 65535", text)
	}
	return text, nil
}

// URL parses the URL of an HTTP server. Its path, if any, goes before every other path.
func URL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if strings.Contains(text, "@") {
		return nil, errors.New("a URL must not contain user and password; use --upstream-authorization file:PATH if the upstream needs a credential")
	}
	if _, _, found := strings.Cut(text, "://"); !found && text != "" {
		return nil, fmt.Errorf("%q: want a URL, which begins with http:// or https://, as in http://%s", text, text)
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return nil, fmt.Errorf("%q: want a URL such as http://127.0.0.1:3000, without query or fragment", text)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%q: the port must be a number from 1 to 65535", text)
		}
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func origin(text string) (*url.URL, error) {
	u, err := URL(text)
	if strings.Contains(text, "@") {
		return nil, err
	}
	if err != nil || u.Path != "" {
		return nil, fmt.Errorf("%q: want an origin such as https://flows.example.com, without a path", text)
	}
	return u, nil
}

func keyFileNames(items []string) ([]string, error) {
	var errs []error
	for _, name := range items {
		if !keystore.IsKeyFile(name) {
			errs = append(errs, fmt.Errorf("%q: want the name of a file in the directory of --keys, such as team.yaml (*.yaml, *.yml or *.json, not hidden; letters, digits and . _ ~ @ -)", name))
		}
	}
	return items, errors.Join(errs...)
}

// secretFile returns a parser for the place of a secret, file:PATH, which also tries to read the file. The error does
// not repeat the text, which may be the secret itself.
func secretFile[T any](what string, read func(path string) (T, error)) func(string) (string, error) {
	return func(text string) (string, error) {
		path, ok := strings.CutPrefix(text, "file:")
		if !ok || path == "" {
			return "", errors.New("want file:PATH, the path of a file with " + what)
		}
		_, err := read(path)
		return path, err
	}
}

func timeout(text string) (time.Duration, error) {
	d, err := keystore.ParseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("must be more than zero; otherwise an upstream that never responds would hold requests for ever")
	}
	return d, err
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})\s*(B|KB|KiB|MB|MiB|GB|GiB)?$`)

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

func size(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q: want a size such as 50MiB (B, KB, MB, GB, KiB, MiB, GiB)", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := sizeUnits[m[2]]
	if err != nil || n == 0 || n > (1<<50)/unit {
		return 0, fmt.Errorf("%q: want more than nothing and at most 1 PiB", text)
	}
	return n * unit, nil
}

func networks(items []string) (prefixes []netip.Prefix, err error) {
	var errs []error
	for _, s := range items {
		p, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); addrErr == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%q: want a network such as 10.0.0.0/8, or an address", s))
		case p.Bits() == 0:
			errs = append(errs, fmt.Errorf("%q: that is everybody, so any client could claim any address; name the proxies' networks", s))
		default:
			prefixes = append(prefixes, p.Masked())
		}
	}
	return prefixes, errors.Join(errs...)
}

func failureLimit(text string) (proxy.FailureLimit, error) {
	if text == "off" {
		return proxy.FailureLimit{Burst: -1}, nil
	}
	number, per, _ := strings.Cut(text, "/")
	n, err1 := strconv.ParseUint(number, 10, 24)
	d, err2 := keystore.ParseDuration(per)
	if err1 != nil || err2 != nil || n == 0 || d <= 0 {
		return proxy.FailureLimit{}, fmt.Errorf("%q: want a number and a time, such as 30/1m, or off", text)
	}
	return proxy.FailureLimit{Burst: int(n), Per: d}, nil
}

func connections(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 24)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q: want a number of connections, such as 10000", text)
	}
	return int(n), nil
}

func level(text string) (zerolog.Level, error) {
	if err := oneOf(text, "debug", "info", "warn", "error"); err != nil {
		return zerolog.NoLevel, err
	}
	return zerolog.ParseLevel(text)
}
