package main

import (
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/internal/doctor"
)

type healthcheckCmd struct {
	config.FileFlag
	config.AdminFlag
}

func (healthcheckCmd) Help() string {
	return `Asks /readyz on the admin listener. Exit code 0 if the gate is ready, 1 if not.

Example:

  flowlatch healthcheck --admin 127.0.0.1:9901`
}

func (cmd *healthcheckCmd) Run(c *config.Config, s streams) error {
	body, err := doctor.Ask(c.Admin, "/readyz")
	hint := ""
	if body == nil { // nothing answers
		hint = "; is the gate running, and is this its --admin?"
	}
	switch answer := strings.TrimSpace(string(body)); {
	case err != nil && (body == nil || answer == "draining"):
		return fmt.Errorf("not ready: %w%s", err, hint)
	case answer != "ok":
		return fmt.Errorf("not ready: what answers at %s is not the admin listener of flowlatch; name that with --admin", c.Admin)
	}
	_, err = s.out.Write(body)
	return err
}
