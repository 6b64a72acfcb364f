package proxy_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// secure is a gate that clients connect to over TLS, as with `flowlatch serve`.
type secure struct {
	*served
	ca *certificatetest.Authority
}

// serveTLS starts a gate with a certificate. change may be nil.
func serveTLS(t *testing.T, handler http.HandlerFunc, drain time.Duration, change func(*proxy.Options)) *secure {
	t.Helper()
	s := &secure{ca: certificatetest.New(t, "CA")}
	var files certificate.Files
	files.ServerCert, files.ServerKey = s.ca.Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	s.served = serveGateWith(t, handler, drain, func(o *proxy.Options) {
		if change != nil {
			change(o)
		}
		o.Certificates = openCertificates(t, files)
	})
	s.base = strings.Replace(s.base, "http:", "https:", 1)
	return s
}

func openCertificates(t *testing.T, files certificate.Files) *certificate.Store {
	t.Helper()
	store, err := certificate.Open(files, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// client returns a client that speaks only HTTP/2.
func (s *secure) client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: s.ca.Client(), Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: testkit.Timeout}
}

// h2 is a client's HTTP/2 connection on which any frame can be sent.
type h2 struct {
	net.Conn
	framer *http2.Framer
	next   uint32       // stream ID
	header bytes.Buffer // encoded
	encode *hpack.Encoder
}

// dialH2 opens a connection with these settings. Nothing on it may take longer than a minute.
func (s *secure) dialH2(t *testing.T, settings ...http2.Setting) *h2 {
	t.Helper()
	config := s.ca.Client()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", s.address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(testkit.Timeout))
	return newH2(t, conn, settings...)
}

func newH2(t *testing.T, conn net.Conn, settings ...http2.Setting) *h2 {
	t.Helper()
	c := &h2{Conn: conn, framer: http2.NewFramer(conn, conn), next: 1}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encode = hpack.NewEncoder(&c.header)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	if err := c.framer.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return c
}

// field is a header field, as name and value. A []field is a header in the order in which it is sent.
type field = [2]string

// post returns the header of a request.
func post(path string, fields ...field) []field {
	return append([]field{{":method", "POST"}, {":scheme", "https"}, {":authority", "gate"}, {":path", path}}, fields...)
}

func h2bearer(secret string) field { return field{"authorization", "Bearer " + secret} }

// send sends a header, and ends the stream with it if there is no body. It returns the stream.
func (c *h2) send(t *testing.T, fields []field, end bool) uint32 {
	t.Helper()
	c.header.Reset()
	for _, f := range fields {
		_ = c.encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	id := c.next
	c.next += 2
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.header.Bytes(), EndStream: end, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	return id
}

// h2Response is a response on one stream.
type h2Response struct {
	response
	reset  *http2.ErrCode // nil if the stream was not reset
	goAway bool           // the connection got GOAWAY before the stream ended
}

// response reads until a stream has ended. It skips frames of other streams.
func (c *h2) response(t *testing.T, id uint32) *h2Response {
	t.Helper()
	res := &h2Response{}
	res.header = http.Header{}
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatalf("stream %d: %v, want its end", id, err)
		}
		if _, ok := f.(*http2.GoAwayFrame); ok {
			res.goAway = true
		}
		c.acknowledge(f)
		if f.Header().StreamID != id {
			continue
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if s := f.PseudoValue("status"); s != "" {
				_, _ = fmt.Sscan(s, &res.status)
			}
			for _, h := range f.RegularFields() {
				res.header.Add(h.Name, h.Value)
			}
		case *http2.DataFrame:
			res.body += string(f.Data())
			if n := len(f.Data()); n > 0 {
				_ = c.framer.WriteWindowUpdate(0, uint32(n))
				_ = c.framer.WriteWindowUpdate(id, uint32(n))
			}
		case *http2.RSTStreamFrame:
			res.reset = &f.ErrCode
		}
		if res.reset != nil || f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			if res.header.Get("Content-Type") == "application/problem+json" {
				_ = json.Unmarshal([]byte(res.body), &res.problem)
			}
			return res
		}
	}
}

func (c *h2) acknowledge(f http2.Frame) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = c.framer.WritePing(true, f.Data)
		}
	}
}

// alive checks that the connection still serves a request.
func (c *h2) alive(t *testing.T) {
	t.Helper()
	if res := c.response(t, c.send(t, post("/api/v1/prediction/"+botA, h2bearer(secretA)), true)); res.status != 200 || res.goAway {
		t.Errorf("the next request on the connection = %d %s, GOAWAY %t, want 200 and none", res.status, res.body, res.goAway)
	}
}
