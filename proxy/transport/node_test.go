package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// nodeServer is an HTTPS server that responds with the number of its connections.
const nodeServer = `
let connections = 0
const server = require("https").createServer({cert: process.env.CERT, key: process.env.KEY}, (req, res) => {
	req.resume()
	req.on("end", () => res.end(String(connections)))
})
server.on("secureConnection", () => connections++)
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
`

// TestNode sends requests to Node, on which Flowise runs. A connection is reused in spite of the session tickets that
// OpenSSL sends, for as long as Node's Keep-Alive allows.
func TestNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	t.Parallel()
	ca := certificatetest.New(t, "ca")
	pair := ca.Issue(t, "server", time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, node, "-e", nodeServer)
	cmd.Env = append(os.Environ(), "CERT="+string(pair.Cert), "KEY="+string(pair.Key))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("node has not started: %v", err)
	}
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		t.Run(name, func(t *testing.T) {
			n := network{client: ca.Client()}
			n.client.MaxVersion = version
			own := n.own(t)
			first := ""
			for i := range 5 {
				got, err := send(t, own, "POST", "https://127.0.0.1:"+strings.TrimSpace(port), "x")
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = got
				}
				if got != first {
					t.Errorf("request %d came by connection %s, want %s", i+1, got, first)
				}
			}
			if got := own.pool.idle[0].keep; got != 4*time.Second {
				t.Errorf("keep = %v, want a second less than the 5 that Node announces", got)
			}
		})
	}
}
