package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/internal/config"
)

type healthcheckCmd struct {
	config.FileFlag
	config.AdminFlag
}

// Help is shown below the usage.
func (healthcheckCmd) Help() string {
	return `Asks /readyz on the admin listener. Exit code 0 if the gate is ready, 1 if not.

Example:

  flowlatch healthcheck --admin 127.0.0.1:9901`
}

// adminTimeout is how long the gate may take to answer.
const adminTimeout = 3 * time.Second

// Run asks.
func (cmd *healthcheckCmd) Run(ctx *kong.Context, s streams) error {
	c, err := resolve(ctx)
	if err != nil {
		return err
	}
	answer, err := askAdmin(c.Admin, "/readyz")
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	_, err = s.out.Write(answer)
	return err
}

// askAdmin gets a page of the admin listener. An answer other than 200 is an error that says what it
// said.
func askAdmin(addr, path string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // where a listener on every address is reached
	}
	wait, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(wait, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy from the environment
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	return body, err
}
