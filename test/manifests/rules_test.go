package manifests

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ruleFile is a file of alert rules, as Prometheus has it.
type ruleFile struct {
	Groups []struct {
		Name  string      `json:"name"`
		Rules []alertRule `json:"rules"`
	} `json:"groups"`
}

type alertRule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func rules(t *testing.T) (f ruleFile) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(readFile(t, "prometheus/flowlatch.rules.yaml")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// series are the labels and their values that a gate has, by the name of the metric.
type series map[string]map[string]map[string]bool

var (
	sample = regexp.MustCompile(`(?m)^([a-z_:]+)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// certificateOf returns the settings of a certificate, for a gate that has the metrics of one.
func certificateOf(t *testing.T) map[string]string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	own := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return map[string]string{
		"FLOWLATCH_TLS_CERT": put("tls.crt", "CERTIFICATE", own.Certificate[0]),
		"FLOWLATCH_TLS_KEY":  put("tls.key", "PRIVATE KEY", key),
	}
}

// seriesOf runs a gate, calls it, and returns what /metrics has.
func seriesOf(t *testing.T) series {
	t.Helper()
	env := certificateOf(t)
	env["FLOWLATCH_LIMITS_REDIS"] = "unix:///nowhere/redis.sock" // which there is none of
	text := try(t, container{env: env, args: []string{"serve"}, keys: "/etc/flowlatch", healthcheck: []string{"/flowlatch", "healthcheck"}})
	all := series{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if all[m[1]][l[1]] == nil {
				all[m[1]][l[1]] = map[string]bool{}
			}
			all[m[1]][l[1]][l[2]] = true
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b((?:flowlatch|process|go)_[a-z_]+)\b`)
	selector   = regexp.MustCompile(`\b((?:flowlatch|process|go)_[a-z_]+)\{([^}]*)\}`)
	grouping   = regexp.MustCompile(`\b(?:by|on|without) ?\(([^)]*)\)`)
	matcher    = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	replaced   = regexp.MustCompile(`"[^"]*"`)
)

// ofTheScrape are labels that Prometheus adds.
var ofTheScrape = map[string]bool{"job": true, "instance": true, "namespace": true}

// unknown returns what an expression asks for and a gate does not have: metrics, labels, values.
func (s series) unknown(expr string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	labels := map[string]bool{}
	names := matches(metricName, replaced.ReplaceAllString(expr, `""`))
	if len(names) == 0 {
		fault("no metric in it")
	}
	for name := range names {
		if s[name] == nil {
			fault("there is no metric %s", name)
		}
		for l := range s[name] {
			labels[l] = true
		}
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			values := s[m[1]][l[1]]
			if values == nil {
				if !ofTheScrape[l[1]] {
					fault("%s has no label %s", m[1], l[1])
				}
				continue
			}
			if m[1] != "flowlatch_denied_total" && l[1] != "result" {
				continue // values that come with requests
			}
			for _, one := range strings.Split(l[3], "|") {
				re, err := regexp.Compile("^(?:" + one + ")$")
				if err != nil {
					fault("%v", err)
					continue
				}
				found := false
				for v := range values {
					found = found || re.MatchString(v)
				}
				if !found {
					fault("%s has no %s like %q", m[1], l[1], one)
				}
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(m[1], ",") {
			if l = strings.TrimSpace(l); !labels[l] && !ofTheScrape[l] {
				fault("no metric in it has the label %s", l)
			}
		}
	}
	return faults
}

// wantKnown checks an expression.
func (s series) wantKnown(t *testing.T, where, expr string) {
	t.Helper()
	for _, f := range s.unknown(expr) {
		t.Errorf("%s: %s: %s", where, expr, f)
	}
}

// TestUnknown tries the check itself.
func TestUnknown(t *testing.T) {
	s := series{"flowlatch_denied_total": {"code": {"missing_key": true}}}
	for _, expr := range []string{
		`flowlatch_denied_totals`, `sum(rate(flowlatch_denied_total{key="a"}[5m]))`, `sum by (key) (flowlatch_denied_total)`,
		`flowlatch_denied_total{code=~"missing_key|wrong_key"}`, `1`,
	} {
		if len(s.unknown(expr)) == 0 {
			t.Errorf("unknown(%s) = nothing, want something", expr)
		}
	}
	s.wantKnown(t, "", `sum by (job, code) (rate(flowlatch_denied_total{job=~"$job",code=~"missing_.*"}[5m]))`)
}

// TestRules checks each alert: what it asks for is there, it is tested, and the runbook has it.
func TestRules(t *testing.T) {
	s := seriesOf(t)
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "prometheus/flowlatch.test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				quiet[a.Alertname] = true
			}
		}
	}
	runbook := readFile(t, "prometheus/runbook.md")
	n := 0
	for _, g := range rules(t).Groups {
		for _, r := range g.Rules {
			n++
			s.wantKnown(t, r.Alert, r.Expr)
			if !fires[r.Alert] || !quiet[r.Alert] {
				t.Errorf("%s: seen to fire %v, seen not to fire %v; want both in flowlatch.test.yaml", r.Alert, fires[r.Alert], quiet[r.Alert])
			}
			if !strings.Contains(runbook, "\n## "+r.Alert+"\n") || !strings.HasSuffix(r.Annotations["runbook_url"], "/deploy/prometheus/runbook.md#"+strings.ToLower(r.Alert)) {
				t.Errorf("%s: runbook_url %s does not lead to its part of the runbook", r.Alert, r.Annotations["runbook_url"])
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s has no severity, summary or description", r.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("no rules")
	}
}

// promtool runs Prometheus' own checks. If it is not installed, the test fails in CI and is skipped elsewhere.
func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("promtool is not installed; on Debian it is in the package prometheus")
	} else if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtool(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "prometheus")
	promtool(t, dir, "check", "rules", "flowlatch.rules.yaml")
	promtool(t, dir, "test", "rules", "flowlatch.test.yaml")
	promtool(t, filepath.Join("..", "..", "deploy", "compose", "monitoring"), "check", "config", "--syntax-only", "prometheus.yaml")
}
