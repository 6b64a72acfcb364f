package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

type healthcheckCmd struct {
	configSetting
	adminSetting
}

// Help is shown below the usage.
func (healthcheckCmd) Help() string {
	return `Asks /readyz on the admin listener. Exit code 0 if the gate is ready, 1 if not.

Example:

  flowlatch healthcheck --admin 127.0.0.1:9901`
}

// healthcheckTimeout is how long the gate may take to answer.
const healthcheckTimeout = 3 * time.Second

// Run asks.
func (cmd *healthcheckCmd) Run(ctx *kong.Context, s streams) error {
	c, err := resolve(ctx)
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(c.admin)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // where a listener on every address is reached
	}
	wait, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(wait, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}} // no proxy from the environment
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
	answer := strings.TrimSpace(string(body))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", answer)
	}
	_, err = fmt.Fprintln(s.out, answer)
	return err
}
