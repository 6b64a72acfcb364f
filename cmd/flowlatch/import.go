package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/flowise"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

type importCmd struct {
	URL               string          `arg:"" help:"Flowise's own address, such as http://127.0.0.1:3000."`
	User              string          `xor:"credential" placeholder:"NAME" help:"The user of a Flowise 2.x (its FLOWISE_USERNAME)."`
	Email             string          `xor:"credential" placeholder:"ADDRESS" help:"An account of a Flowise 3.x."`
	PasswordFile      string          `placeholder:"FILE" help:"File with the password of the user or account; or set FLOWLATCH_IMPORT_PASSWORD."`
	APIKeyFile        string          `name:"api-key-file" xor:"credential" placeholder:"FILE" help:"File with an API key of Flowise, instead of user or account; or set FLOWLATCH_IMPORT_API_KEY."`
	PublicStaysPublic bool            `help:"Leave chatflows that have no key in Flowise open to anyone. Without it they are closed."`
	Update            bool            `help:"Add what is new in Flowise to a key file that exists: chatflows, their names, keys. Nothing is taken away. It shows what it would add, and asks."`
	Yes               bool            `xor:"ask" help:"With --update, do not ask."`
	DryRun            bool            `xor:"ask" aliases:"stdout" help:"Print the key file to standard output and write nothing."`
	Timeout           config.Duration `default:"1m" help:"How long Flowise may take for one response."`
	UpstreamCA        string          `name:"upstream-ca" env:"FLOWLATCH_UPSTREAM_CA" placeholder:"FILE" help:"PEM file of the CA certificates that Flowise's HTTPS certificate is verified with. Default: those of the system."`
	keyFile
}

func (importCmd) Help() string {
	return `Reads the chatflows and API keys of a Flowise and makes a key file: the same keys, as digests, for the same chatflows.
Standard error says what changes for clients. Nothing changes in Flowise. Flowise 2.x without a user name needs no
credential; an API key of 3.x needs the permissions chatflows:view and apikeys:view. Of several workspaces in 3.x, one
is read: the API key's, or the one that the account used last.

Examples:

  flowlatch import http://127.0.0.1:3000 --user admin --password-file ./password --dry-run
  flowlatch import http://127.0.0.1:3000 --email me@example.com --password-file ./password --keys ./keys.yaml
  flowlatch import https://flowise.example.com --api-key-file ./flowise.key --keys ./keys.yaml --public-stays-public
  flowlatch import http://127.0.0.1:3000 --user admin --password-file ./password --keys ./keys.yaml --update`
}

func (cmd *importCmd) Run(c *config.Config, s streams) error {
	switch {
	case cmd.Update:
		return cmd.update(c, s)
	case cmd.Yes:
		return usageError{errors.New("--yes: an import asks with --update only")}
	case keystore.IsJSON(c.Keys):
		return fmt.Errorf("%s: an import writes a new key file in YAML; name one whose name does not end in .json", c.Keys)
	}
	credential, err := cmd.credential(s)
	if err != nil {
		return err
	}
	if !cmd.DryRun {
		if _, err := os.Lstat(c.Keys); !errors.Is(err, fs.ErrNotExist) {
			return existsError(c.Keys, err)
		}
		dir := filepath.Dir(c.Keys)
		switch _, err := os.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("--keys %s: its directory %s does not exist; make it, or name another file with --keys", c.Keys, dir)
		case err != nil:
			return fmt.Errorf("--keys %s: the directory of the new key file: %w", c.Keys, err)
		}
	}
	found, err := cmd.read(c, credential)
	if err != nil {
		return err
	}
	made, err := flowise.Convert(found, c.Keys, cmd.PublicStaysPublic)
	if err != nil && !errors.Is(err, flowise.ErrNothingOpen) {
		return err
	}
	if reportErr := made.Report(s.err); reportErr != nil {
		return reportErr
	}
	if err != nil {
		return fmt.Errorf("%w; `flowlatch key new` makes a first key and the file with it", err)
	}
	if cmd.DryRun {
		_, err = s.out.Write(made.Text)
		return err
	}
	if _, err := edit.File(c.Keys, edit.Options{Waiting: tellWaiting(c.Keys, s)}, func(data []byte) ([]byte, error) {
		if data != nil { // made while Flowise was read
			return nil, existsError(c.Keys, nil)
		}
		return made.Text, nil
	}); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "\n%s is written; `flowlatch check --keys %s` shows what it opens\n", c.Keys, keystore.ForShell(c.Keys))
	return nil
}

// existsError says what to do about a key file that already exists. If err is not nil, looking for the file failed, and
// err is returned.
func existsError(path string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s exists already, and an import makes a new key file; add what is new in Flowise with --update, name another file with --keys, or look first with --dry-run", path)
}

// read reads the chatflows and keys of the Flowise.
func (cmd *importCmd) read(c *config.Config, credential flowise.Credential) (*flowise.Installation, error) {
	certificates, err := certificate.Open(c.Certificates, certificate.Options{})
	if err != nil {
		return nil, err
	}
	found, err := flowise.Read(context.Background(), flowise.Options{
		URL: cmd.URL, Credential: credential, RootCAs: certificates.Upstream().RootCAs, Timeout: time.Duration(cmd.Timeout), Flags: true,
	})
	if err != nil {
		return nil, fmt.Errorf("reading Flowise: %w", err)
	}
	return found, nil
}

// credential reads the secret of the user, account or API key that the flags name. No flag takes a secret as its value,
// because other users of the machine can see the flags of a process.
func (cmd *importCmd) credential(s streams) (c flowise.Credential, err error) {
	if cmd.Timeout <= 0 {
		return c, usageError{errors.New("--timeout: must be more than zero")}
	}
	c.User, c.Email = cmd.User, cmd.Email
	switch {
	case cmd.User != "" || cmd.Email != "":
		c.Password, err = secretFrom("--password-file", cmd.PasswordFile, config.ImportPassword, s)
		if err == nil && c.Password == "" {
			err = usageError{fmt.Errorf("no password; put it into a file and name that with --password-file, or into the environment variable %s", config.ImportPassword)}
		}
		return c, err
	case cmd.PasswordFile != "":
		return c, usageError{errors.New("--password-file needs --user or --email beside it")}
	}
	c.APIKey, err = secretFrom("--api-key-file", cmd.APIKeyFile, config.ImportAPIKey, s)
	if err == nil && c.APIKey != "" && strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		err = errors.New("the API key has a blank, a line break or another character that no key of Flowise has; is it the right file?")
	}
	if err == nil && c.APIKey == "" && os.Getenv(config.ImportPassword) != "" {
		err = usageError{fmt.Errorf("%s needs --user or --email beside it", config.ImportPassword)}
	}
	return c, err
}

const (
	maxSecret     = 4096     // more characters than any password or key has
	maxSecretFile = 64 << 10 // more bytes than a file with one has
)

// secretFrom returns the only line of a file or, if path is empty, the value of an environment variable. A file with
// more than one line is an error.
func secretFrom(flag, path, variable string, s streams) (string, error) {
	if path == "" {
		return os.Getenv(variable), nil
	}
	data, err := readInput(path, maxSecretFile, s)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case secret == "":
		return "", fmt.Errorf("%s: %s is empty", flag, path)
	case len(secret) > maxSecret || strings.ContainsAny(secret, "\r\n"):
		return "", fmt.Errorf("%s: %s is more than one line; it holds the secret alone", flag, path)
	}
	return secret, nil
}
