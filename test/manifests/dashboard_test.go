package manifests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, RefID string }
	Links       []link
}

type link struct{ Title, URL string }

type dashboard struct {
	UID, Title string
	Panels     []panel
	Links      []link
	Templating struct {
		List []struct{ Name, Definition, Type string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(readFile(t, "grafana/flowlatch.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are the dashboard's questions to Prometheus, by where they stand.
func (d dashboard) queries() map[string]string {
	all := map[string]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all[fmt.Sprintf("panel %q, query %s", p.Title, q.RefID)] = q.Expr
		}
	}
	for _, a := range d.Annotations.List {
		all["annotation "+a.Name] = a.Expr
	}
	return all
}

var (
	variable    = regexp.MustCompile(`\$\{?([a-z_]+)\}?`)
	labelValues = regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`)
)

// TestDashboard checks that each query asks for what a gate has, and that panels do not lie on one another.
func TestDashboard(t *testing.T) {
	d, s := readDashboard(t), seriesOf(t)
	known := map[string]bool{"__rate_interval": true, "__range": true}
	for _, v := range d.Templating.List {
		known[v.Name] = true
		if v.Type == "datasource" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Errorf("variable %s = %q, want label_values(SERIES, LABEL)", v.Name, v.Definition)
			continue
		}
		s.wantKnown(t, "variable "+v.Name, "sum by ("+m[2]+") ("+m[1]+")")
	}
	for where, expr := range d.queries() {
		s.wantKnown(t, where, expr)
		for name := range matches(variable, expr) {
			if !known[name] {
				t.Errorf("%s: there is no variable $%s", where, name)
			}
		}
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || (p.Type != "row") != (len(p.Targets) > 0) {
			t.Errorf("panel %d %q (%s): the ID is taken, it has no title, or no queries", p.ID, p.Title, p.Type)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("panel %q lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestDashboardLinks checks that links lead to pages and sections that exist.
func TestDashboardLinks(t *testing.T) {
	d := readDashboard(t)
	links := d.Links
	for _, p := range d.Panels {
		links = append(links, p.Links...)
	}
	sections := 0
	for _, l := range links {
		page, found := strings.CutPrefix(l.URL, "https://github.com/flowlatch/flowlatch/blob/main/")
		page, section, _ := strings.Cut(page, "#")
		text, err := os.ReadFile(filepath.Join("..", "..", page))
		if !found || err != nil {
			t.Errorf("link %q leads to %s, want a page of the project: %v", l.Title, l.URL, err)
			continue
		}
		if section == "" {
			continue
		}
		sections++
		if !strings.Contains(strings.ToLower(string(text)), "\n## "+section+"\n") {
			t.Errorf("link %q leads to %s, where there is no such section", l.Title, l.URL)
		}
	}
	if sections < 5 {
		t.Errorf("links to sections of the runbook = %d, want 5 or more", sections)
	}
	if !strings.Contains(readFile(t, "grafana/flowlatch.json"), `"http://${__value.text}/"`) {
		t.Error("no link to the status page of a gate")
	}
}

// TestDashboardShowsEverything looks for metrics of the gate that neither the dashboard nor an alert uses.
func TestDashboardShowsEverything(t *testing.T) {
	used := readFile(t, "grafana/flowlatch.json") + readFile(t, "prometheus/flowlatch.rules.yaml")
	for name := range seriesOf(t) {
		if base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count"); strings.HasPrefix(name, "flowlatch_") && !strings.Contains(used, base) {
			t.Errorf("nothing shows %s", name)
		}
	}
}

// TestDashboardQueriesParse has promtool read the queries, as the expressions of rules.
func TestDashboardQueriesParse(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var list []rule
	for _, expr := range readDashboard(t).queries() {
		expr = strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h").Replace(expr)
		list = append(list, rule{fmt.Sprintf("q%d", len(list)), variable.ReplaceAllString(expr, ".*")})
	}
	b, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "rules.yaml")
}
