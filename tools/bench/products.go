//go:build bench

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// product is a proxy to measure.
type product struct {
	name   string
	check  string // how it checks a key
	binary string // "" if it is part of this program
	single bool   // knows only one key

	// command writes what it needs to s.dir and returns how to start it in the foreground, logging requests to a file.
	command func(s site) ([]string, error)
}

// site is where an instance of a product runs.
type site struct {
	dir, listen, admin, upstream string
	keys                         *fixture
	count                        int // of keys in force
}

// instance is a running product.
type instance struct {
	*process
	site
	ready time.Duration // from start to the first answer
}

// start starts a product and waits for its first answer. An address that nothing listened on may be taken by another
// program, or by a connection, before the product listens on it; then there is another try.
func (p *product) start(ctx context.Context, dir string, keys *fixture, count int, upstream string) (i *instance, err error) {
	for range 3 {
		i, err = p.startOnce(ctx, dir, keys, count, upstream)
		if err == nil || ctx.Err() != nil || !strings.Contains(strings.ToLower(err.Error()), "in use") && !strings.Contains(err.Error(), "cannot bind") {
			break
		}
		progress("again: %v", err)
	}
	return i, err
}

func (p *product) startOnce(ctx context.Context, dir string, keys *fixture, count int, upstream string) (*instance, error) {
	s := site{upstream: upstream, keys: keys, count: count}
	if p.single {
		s.count = 1
	}
	var err error
	if s.dir, err = os.MkdirTemp(dir, "site-"); err != nil {
		return nil, err
	}
	for _, addr := range []*string{&s.listen, &s.admin} {
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	command, err := p.command(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	child, err := start(ctx, coreOfProxy, s.dir, "output", command...)
	if err != nil {
		return nil, err
	}
	i := &instance{process: child, site: s}
	if err := i.firstAnswer(ctx); err != nil {
		i.close()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return i, nil
}

// firstAnswer asks until there is an answer.
func (i *instance) firstAnswer(ctx context.Context) error {
	request := []byte(i.keys.request(0, ""))
	return i.wait(ctx, time.Minute, time.Millisecond, "ready", func() (bool, error) {
		conn, err := net.Dial("tcp", i.listen)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(request); err != nil {
			return false, err
		}
		got := make([]byte, 4096)
		n, err := conn.Read(got)
		i.ready = time.Since(i.began)
		if err != nil || !strings.HasPrefix(string(got[:n]), "HTTP/1.1 200 ") {
			return false, fmt.Errorf("answer %q, %w", got[:n], err)
		}
		return true, nil
	})
}

// close stops the instance and removes what it wrote.
func (i *instance) close() {
	if i == nil {
		return
	}
	i.end()
	os.RemoveAll(i.dir)
}

func (s site) write(name, content string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o644)
}

// keyFile is where flowlatch's keys are: in a directory of their own, as they are mounted. In the log's, every line would
// be an event to look at.
func (s site) keyFile() string { return filepath.Join(s.dir, "keys", "keys.yaml") }

// flowlatch is the gate this is about.
func flowlatch(name, binary string) *product {
	return &product{
		name: name, binary: binary, check: "SHA-256 of the key, listed for its chatflow, in a key file",
		command: func(s site) ([]string, error) {
			path := s.keyFile()
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				return nil, err
			}
			return []string{
				binary, "serve", "--listen", s.listen, "--admin", s.admin, "--upstream", "http://" + s.upstream, "--keys", path, "--failure-limit", "off",
			}, s.keys.writeKeyFile(path, s.count)
		},
	}
}

func nginx(binary string) *product {
	return &product{name: "nginx", binary: binary, check: "the whole header in a `map`", command: func(s site) ([]string, error) {
		var lines strings.Builder
		for i := range s.count {
			fmt.Fprintf(&lines, "\"Bearer %s\" 1;\n", s.keys.token(i))
		}
		if _, err := s.write("keys.map", lines.String()); err != nil {
			return nil, err
		}
		path, err := s.write("nginx.conf", replace(`
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid DIR/pid;
error_log DIR/error.log warn;
events { worker_connections 19000; }
http {
	access_log DIR/access.log;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	server_tokens off;
	keepalive_requests 1000000000;
	map_hash_bucket_size 128;
	map_hash_max_size 65536;
	map $http_authorization $valid { default 0; include DIR/keys.map; }
	upstream runner { server UPSTREAM; keepalive 512; keepalive_requests 1000000000; }
	server {
		listen LISTEN backlog=8192;
		location / {
			if ($valid = 0) { return 401; }
			proxy_pass http://runner;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Authorization "";
			proxy_read_timeout 1h;
		}
	}
	server { listen ADMIN; location /metrics { stub_status; } }
}
`, s))
		return []string{binary, "-p", s.dir, "-c", path}, err
	}}
}

func haproxy(binary string) *product {
	return &product{name: "HAProxy", binary: binary, check: "the whole header in an ACL file", command: func(s site) ([]string, error) {
		var lines strings.Builder
		for i := range s.count {
			fmt.Fprintf(&lines, "Bearer %s\n", s.keys.token(i))
		}
		if _, err := s.write("keys.acl", lines.String()); err != nil {
			return nil, err
		}
		path, err := s.write("haproxy.cfg", replace(`
global
	maxconn 9000
	log stdout format raw local0 info
defaults
	mode http
	log global
	option httplog
	option http-keep-alive
	option http-no-delay
	http-reuse always
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout http-keep-alive 1h
frontend callers
	bind LISTEN backlog 8192
	acl valid req.hdr(Authorization) -m str -f DIR/keys.acl
	http-request return status 401 content-type text/plain string unauthorized unless valid
	http-request del-header Authorization
	default_backend runner
backend runner
	server runner UPSTREAM
frontend metrics
	no log
	bind ADMIN
	http-request use-service prometheus-exporter if { path /metrics }
`, s))
		return []string{binary, "-db", "-f", path}, err
	}}
}

func caddyProduct(binary string) *product {
	return &product{name: "Caddy", binary: binary, single: true, check: "the whole header against one key (its `map` looks at one after the other)", command: func(s site) ([]string, error) {
		path, err := s.write("Caddyfile", replace(`
{
	admin ADMIN
	auto_https off
	persist_config off
	storage file_system DIR/storage
	metrics
	servers {
		protocols h1
	}
	log default {
		level ERROR
	}
}
http://:PORT {
	bind 127.0.0.1
	log {
		output file DIR/access.log {
			roll_disabled
		}
	}
	@valid header Authorization "Bearer `+s.keys.token(0)+`"
	handle @valid {
		reverse_proxy UPSTREAM {
			header_up -Authorization
			transport http {
				keepalive_idle_conns_per_host 512
				compression off
			}
		}
	}
	handle {
		respond unauthorized 401
	}
}
`, s))
		return []string{binary, "run", "--config", path, "--adapter", "caddyfile"}, err
	}}
}

// httpUtil is a gate of this program, made of the standard library.
func httpUtil(name, kind, self string) *product {
	return &product{name: name, check: "SHA-256 of the key in a map", command: func(s site) ([]string, error) {
		var lines strings.Builder
		for i := range s.count {
			fmt.Fprintln(&lines, s.keys.token(i))
		}
		path, err := s.write("keys", lines.String())
		return []string{self, "httputil", kind, s.listen, s.admin, s.upstream, path}, err
	}}
}

// replace fills in what a configuration has in capitals.
func replace(config string, s site) string {
	_, port, _ := net.SplitHostPort(s.listen)
	return strings.NewReplacer("DIR", s.dir, "UPSTREAM", s.upstream, "LISTEN", s.listen, "PORT", port, "ADMIN", s.admin).Replace(config)
}
