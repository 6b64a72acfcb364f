//go:build bench

package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// product is a proxy to measure.
type product struct {
	name   string
	binary string
	args   string   // of its start in the foreground, with the names of site
	files  []string // of its configuration, templates in products/
	single bool     // it checks one key only

	limited bool   // requests in a time and at once are limited: of keys, chatflows and clients
	shared  bool   // by a redis-server of its own
	without string // the name of the same product without limits
}

// Names of products that bars speak of.
const (
	flowlatchName = "flowlatch"
	baselineName  = "baseline"
	httputilName  = "httputil"
)

//go:embed products
var templates embed.FS

// site is where and before what a product runs. Its exported fields are those that templates use.
type site struct {
	Dir, Upstream string
	Port, Admin   int
	Limited       bool
	UsedUp        string // the path of the chatflow that lets nothing in any more, if the product has limits
	KeyFile       string // of flowlatch; empty means one with the keys of Tokens
	Tokens        []string
	keys          *fixture
}

// instance is a running product.
type instance struct {
	*process
	redis *process // nil if it has none
	*product
	site
	ready time.Duration // from its start to the first response
}

// flowlatch returns the gate that this is about, as a product. Failed keys come from one address here, so that they must not be limited.
func flowlatch(name, binary string) *product {
	return &product{
		name: name, binary: binary,
		args: "serve --listen 127.0.0.1:{{.Port}} --admin 127.0.0.1:{{.Admin}} --upstream http://{{.Upstream}} --keys {{.KeyFile}} --failure-limit off",
	}
}

// start starts a product before an upstream with the first count keys and waits for its first response.
func (p *product) start(ctx context.Context, dir, upstream string, keys *fixture, count int, keyFile string) (i *instance, err error) {
	s := site{Upstream: upstream, KeyFile: keyFile, keys: keys, Tokens: keys.tokens[:count], Limited: p.limited, UsedUp: pathOf(manyKeys - 1)}
	if s.Dir, err = os.MkdirTemp(dir, "site-"); err != nil {
		return nil, err
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	if s.Admin, err = freePort(); err != nil {
		return nil, err
	}
	if s.KeyFile == "" && p.files == nil {
		s.KeyFile = filepath.Join(s.Dir, "keys", "keys.yaml") // in a directory of its own, which the gate watches
		if err := os.Mkdir(filepath.Dir(s.KeyFile), 0o755); err != nil {
			return nil, err
		}
		file := keys.keyFile(count)
		if p.limited {
			file.limit()
		}
		if err := file.write(s.KeyFile); err != nil {
			return nil, err
		}
	}
	for _, name := range p.files {
		text, err := templates.ReadFile("products/" + name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.Dir, name), s.fill(string(text)), 0o600); err != nil {
			return nil, err
		}
	}
	i = &instance{product: p, site: s}
	if err := i.run(ctx); err != nil {
		i.close()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return i, nil
}

// run starts the processes and waits for the first response.
func (i *instance) run(ctx context.Context) (err error) {
	if i.shared {
		if i.redis, err = startRedis(ctx, i.Dir); err != nil {
			return err
		}
	}
	if i.process, err = start(ctx, coreOfProduct, i.Dir, append([]string{i.binary}, strings.Fields(string(i.fill(i.args)))...)...); err != nil {
		return err
	}
	err = i.serves(ctx, post(chatflowOf(0), i.Tokens[0], ""))
	i.ready = time.Since(i.began)
	return err
}

// fill fills in a template of this program.
func (s site) fill(text string) []byte {
	var b bytes.Buffer
	if err := template.Must(template.New("").Parse(text)).Execute(&b, s); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// serves sends a request until there is a response.
func (i *instance) serves(ctx context.Context, request string) error {
	return i.wait(ctx, time.Minute, time.Millisecond, "response", func() (bool, error) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(i.Port))
		if err != nil {
			return false, err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, request); err != nil {
			return false, err
		}
		got := make([]byte, 4096)
		n, err := conn.Read(got)
		if err != nil || !strings.HasPrefix(string(got[:n]), "HTTP/1.1 200 ") {
			return false, fmt.Errorf("response %q, %w", got[:n], err)
		}
		return true, nil
	})
}

// close stops the instance and removes what it wrote.
func (i *instance) close() {
	i.end()
	i.redis.end()
	os.RemoveAll(i.Dir)
}

func closeAll(instances []*instance) {
	for _, i := range instances {
		i.close()
	}
}

// products returns those that are to be measured, and their versions. One that is not installed is left out.
func products(ctx context.Context, o *options) (all []*product, versions []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	all = []*product{flowlatch(flowlatchName, o.binary)}
	if o.baseline != "" {
		all = append(all, flowlatch(baselineName, o.baseline))
	}
	all = append(all, &product{
		name: httputilName, binary: self, files: []string{"keys.txt"},
		args: "httputil 127.0.0.1:{{.Port}} 127.0.0.1:{{.Admin}} {{.Upstream}} {{.Dir}}/keys.txt",
	})
	if o.quick {
		return all, nil, nil
	}
	for _, p := range []*product{
		{name: "nginx", args: "-p {{.Dir}} -c {{.Dir}}/nginx.conf", files: []string{"nginx.conf"}},
		{name: "HAProxy", args: "-db -f {{.Dir}}/haproxy.cfg", files: []string{"haproxy.cfg", "keys.acl"}},
	} {
		if p.binary, err = lookPath(strings.ToLower(p.name)); err != nil {
			progress("without %s: %v", p.name, err)
			continue
		}
		all = append(all, p)
		versions = append(versions, p.name+" "+versionOf(ctx, p.binary))
	}
	binary, err := caddy(ctx)
	if err != nil {
		return nil, nil, err
	}
	all = append(all, &product{
		name: "Caddy", binary: binary, single: true,
		args: "run --adapter caddyfile --config {{.Dir}}/Caddyfile", files: []string{"Caddyfile"},
	})
	return all, append(versions, "Caddy "+caddyVersion), nil
}

// versionOf returns the version that a program prints with -v.
func versionOf(ctx context.Context, binary string) string {
	out, _ := exec.CommandContext(ctx, binary, "-v").CombinedOutput() // without it, the version is empty
	return regexp.MustCompile(`\d+\.\d+[-+.\w~]*`).FindString(string(out))
}

// lookPath finds a program, also where only root's PATH leads.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}
