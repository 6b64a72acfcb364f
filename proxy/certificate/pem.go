package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// CheckCertificate returns what is wrong with a file of certificates.
func CheckCertificate(path string) error {
	return source{cert: path}.check()
}

// CheckKey returns what is wrong with the file of a private key.
func CheckKey(path string) error {
	content, err := watch.ReadFile(path, maxFile)
	if err != nil {
		return err
	}
	return checkKey(path, content)
}

// CheckPair returns what is wrong with the files of a certificate and its key.
func CheckPair(certPath, keyPath string) error {
	return source{certPath, keyPath}.check()
}

// source is the paths of a certificate and its key, or of a file of CAs.
type source struct {
	cert string
	key  string // empty for CAs
}

func (s source) paths() []string {
	if s.key == "" {
		return []string{s.cert}
	}
	return []string{s.cert, s.key}
}

// check returns what is wrong with the files.
func (s source) check() error {
	return watch.NewReloader(maxFile, s.parse, s.paths()...).Reload(true).Err
}

// maxFile is the largest file that is read, in bytes. All public CAs together take a quarter of a megabyte.
const maxFile = 4 << 20

// parse parses the contents of the files. If reading them failed, it returns that error.
func (s source) parse(contents [][]byte, err error) (*material, error) {
	if err != nil {
		return nil, err
	}
	certificates, err := parseCertificates(s.cert, contents[0])
	if err != nil {
		return nil, err
	}
	if s.key == "" {
		m := &material{info: infoOf(certificates), pool: x509.NewCertPool()}
		for _, c := range certificates {
			m.pool.AddCert(c)
		}
		return m, nil
	}
	if err := checkKey(s.key, contents[1]); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, fmt.Errorf("%s: this key is not that of the first certificate in %s; use the two files of one pair", s.key, s.cert)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.key, err)
	}
	// Info does not include the certificates after the first one, which are intermediates.
	return &material{info: infoOf(certificates[:1]), pair: pair, leaf: certificates[0]}, nil
}

// parseCertificates returns all certificates in a file. A malformed one is an error: x509.CertPool would skip it, and the
// gate would then trust other CAs than the file says.
func parseCertificates(path string, content []byte) (list []*x509.Certificate, err error) {
	blocks, err := decode(path, content)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			continue // a key in the same file, or parameters
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d is malformed: %w", path, len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM format", path)
	}
	return list, nil
}

// checkKey checks that content has a private key that crypto/tls can use. Its errors reveal nothing of the content.
func checkKey(path string, content []byte) error {
	blocks, err := decode(path, content)
	if err != nil {
		return err
	}
	for _, block := range blocks {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return fmt.Errorf("%s: the private key is encrypted, and the gate cannot ask for the passphrase; decrypt it, for example with `openssl pkey -in KEY -out PLAIN`", path)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
	}
	return fmt.Errorf("%s: no private key in PEM format", path)
}

// decode returns the blocks of a PEM file.
func decode(path string, content []byte) (blocks []*pem.Block, err error) {
	for {
		block, rest := pem.Decode(content)
		switch {
		case block != nil:
			blocks, content = append(blocks, block), rest
		case bytes.Contains(rest, []byte("-----BEGIN")):
			return nil, fmt.Errorf("%s: a PEM block is incomplete; write the whole file", path)
		default:
			return blocks, nil
		}
	}
}
