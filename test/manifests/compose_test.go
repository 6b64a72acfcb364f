package manifests

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// load reads compose files as docker compose does: schema, merging, interpolation.
func load(t *testing.T, env map[string]string, names ...string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "deploy", "compose"))
	if err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{WorkingDir: dir, Environment: env}
	for _, name := range names {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(dir, name)})
	}
	return loader.LoadWithContext(t.Context(), details, func(o *loader.Options) { o.Profiles = []string{"*"} })
}

func mustLoad(t *testing.T, env map[string]string, names ...string) *types.Project {
	t.Helper()
	p, err := load(t, env, names...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// example returns the variables of .env.example, and a password, which it leaves to choose.
func example(t *testing.T) map[string]string {
	t.Helper()
	env, err := dotenv.UnmarshalWithLookup(readFile(t, "compose/.env.example"), nil)
	if err != nil {
		t.Fatal(err)
	}
	env["GRAFANA_PASSWORD"] = "chosen"
	return env
}

// TestCompose loads the files as they are and as the example has them, and runs the gate of each.
func TestCompose(t *testing.T) {
	for _, c := range []struct {
		name  string
		env   map[string]string
		files []string
	}{
		{"nothing set", nil, []string{"compose.yaml"}},
		{"example", example(t), []string{"compose.yaml"}},
		{"operator", example(t), []string{"compose.yaml", "compose.ui.yaml"}},
		{"monitoring", example(t), []string{"compose.yaml", "compose.monitoring.yaml"}},
		{"redis", example(t), []string{"compose.yaml", "compose.redis.yaml"}},
		{"redis, nothing set", nil, []string{"compose.yaml", "compose.redis.yaml"}},
		{"all", example(t), []string{"compose.yaml", "compose.ui.yaml", "compose.monitoring.yaml", "compose.redis.yaml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustLoad(t, c.env, c.files...)
			flowise, gate := p.Services["flowise"], p.Services["flowlatch"]
			for _, port := range flowise.Ports {
				if !slices.Contains(c.files, "compose.ui.yaml") || port.HostIP != "127.0.0.1" {
					t.Errorf("Flowise's port is published: %v", port)
				}
			}
			if len(gate.Ports) != 1 || gate.Ports[0].Target != 8080 || gate.Ports[0].Published != "8080" || gate.Ports[0].HostIP != "127.0.0.1" {
				t.Errorf("ports of the gate = %v, want 127.0.0.1:8080", gate.Ports)
			}
			if d, ok := gate.DependsOn["flowise"]; !ok || d.Condition != types.ServiceConditionHealthy || flowise.HealthCheck == nil {
				t.Errorf("the gate starts after %v, want after a healthy Flowise", gate.DependsOn)
			}
			wantConfined(t, gate)
			wantConfined(t, p.Services["key"])
			if p.Services["key"].NetworkMode != "none" || p.Services["key"].Volumes[0].Source != gate.Volumes[0].Source {
				t.Errorf("the service key = %v, want no network and the gate's keys", p.Services["key"])
			}
			dir := gate.Volumes[0]
			if len(gate.Volumes) != 1 || !dir.ReadOnly || filepath.Base(dir.Source) != "keys" || dir.Bind == nil || bool(dir.Bind.CreateHostPath) {
				t.Errorf("volumes of the gate = %v, want the directory keys, read only", gate.Volumes)
			}
			env := map[string]string{}
			for k, v := range gate.Environment {
				env[k] = *v
			}
			if want := "http://flowise:" + *flowise.Environment["PORT"]; env["FLOWLATCH_UPSTREAM"] != want {
				t.Errorf("upstream = %s, want %s", env["FLOWLATCH_UPSTREAM"], want)
			}
			drain, err := time.ParseDuration(env["FLOWLATCH_DRAIN"])
			if err != nil || gate.StopGracePeriod == nil || time.Duration(*gate.StopGracePeriod) < drain+5*time.Second {
				t.Errorf("stop_grace_period = %v, want more than the drain of %v", gate.StopGracePeriod, drain)
			}
			common := false
			for name := range gate.Networks {
				_, shared := flowise.Networks[name]
				common = common || shared
			}
			if !common {
				t.Error("the gate has no network in common with Flowise")
			}
			healthcheck := gate.HealthCheck.Test
			if healthcheck[0] != "CMD" {
				t.Fatalf("healthcheck = %q, want CMD: there is no shell", healthcheck)
			}
			wantEntrypoint(t)
			redis := ""
			if slices.Contains(c.files, "compose.redis.yaml") {
				wantRedisConfined(t, p)
				redis = runRedis(t, redisContainer{service: "redis", url: env["FLOWLATCH_LIMITS_REDIS"], command: slices.Concat(p.Services["redis"].Entrypoint, p.Services["redis"].Command), probe: p.Services["redis"].HealthCheck.Test[1:]})
			}
			metrics := try(t, container{env: env, args: gate.Command, keys: dir.Target, healthcheck: healthcheck[1:], redis: redis})
			if up := strings.Contains(metrics, "\nflowlatch_limits_backend_up 1\n"); up != (redis != "") {
				t.Errorf("limits are shared through Redis = %v, want %v", up, redis != "")
			}
			if slices.Contains(c.files, "compose.monitoring.yaml") {
				wantScraped(t, p, env["FLOWLATCH_ADMIN"])
			}
		})
	}
	if _, err := load(t, nil, "compose.yaml", "compose.monitoring.yaml"); err == nil || !strings.Contains(err.Error(), "GRAFANA_PASSWORD") {
		t.Errorf("without a password for Grafana: %v, want an error that asks for one", err)
	}
}

func wantConfined(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged || len(s.CapAdd) > 0 {
		t.Errorf("%s runs as %s, read only %v, without %v, with %v", s.Name, s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt)
	}
	if s.Build == nil || s.Image != "flowlatch:local" {
		t.Errorf("%s has the image %s, want one that is built here", s.Name, s.Image)
	} else if ignored, err := os.ReadFile(filepath.Join(s.Build.Context, ".dockerignore")); err != nil || !strings.Contains(string(ignored), "\ndeploy/compose/keys\n") {
		t.Errorf("%s is built in %s with its keys: %v", s.Name, s.Build.Context, err)
	}
}

// wantEntrypoint checks that the image runs the file that commands here name.
func wantEntrypoint(t *testing.T) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(readFile(t, "../Dockerfile")))
	for lines.Scan() {
		if lines.Text() == `ENTRYPOINT ["/flowlatch"]` {
			return
		}
	}
	t.Error("the Dockerfile's entry point is not /flowlatch")
}

// wantScraped follows the files of the monitoring: what is mounted, what names what.
func wantScraped(t *testing.T, p *types.Project, admin string) {
	t.Helper()
	mounted := func(service, path string) string { // the file of this repository that a container sees at path
		for _, v := range p.Services[service].Volumes {
			if rest, ok := strings.CutPrefix(path, v.Target); ok && v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source + rest); err != nil {
					t.Errorf("%s: %v", service, err)
				}
				return v.Source + rest
			}
		}
		t.Errorf("%s sees nothing at %s", service, path)
		return os.DevNull
	}
	read := func(path string, into any) {
		b, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(b, into)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var scrape struct {
		Global struct {
			ScrapeInterval     string `json:"scrape_interval"`
			EvaluationInterval string `json:"evaluation_interval"`
		} `json:"global"`
		RuleFiles     []string `json:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `json:"job_name"`
			StaticConfigs []struct {
				Targets []string `json:"targets"`
			} `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	config, _ := strings.CutPrefix(p.Services["prometheus"].Command[0], "--config.file=")
	read(mounted("prometheus", config), &scrape)
	if diff := cmp.Diff([]string{"flowlatch" + admin}, scrape.ScrapeConfigs[0].StaticConfigs[0].Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for _, f := range scrape.RuleFiles {
		mounted("prometheus", f)
	}
	for _, pair := range [][2]string{{"prometheus", "flowlatch"}, {"grafana", "prometheus"}} {
		common := false
		for name := range p.Services[pair[0]].Networks {
			_, shared := p.Services[pair[1]].Networks[name]
			_, inside := p.Services["flowise"].Networks[name]
			common = common || shared && !inside
		}
		if !common {
			t.Errorf("%s does not reach %s on a network without Flowise", pair[0], pair[1])
		}
	}
	var provider struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name           string            `json:"name"`
			Type           string            `json:"type"`
			AllowUIUpdates bool              `json:"allowUiUpdates"`
			Options        map[string]string `json:"options"`
		} `json:"providers"`
	}
	read(mounted("grafana", "/etc/grafana/provisioning/dashboards/flowlatch.yaml"), &provider)
	mounted("grafana", provider.Providers[0].Options["path"]+"/flowlatch.json")
	mounted("grafana", *p.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
	var source struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name      string            `json:"name"`
			UID       string            `json:"uid"`
			Type      string            `json:"type"`
			Access    string            `json:"access"`
			URL       string            `json:"url"`
			IsDefault bool              `json:"isDefault"`
			Editable  bool              `json:"editable"`
			JSONData  map[string]string `json:"jsonData"`
		} `json:"datasources"`
	}
	read(mounted("grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml"), &source)
	if u := source.Datasources[0].URL; u != "http://prometheus:9090" {
		t.Errorf("Grafana asks %s", u)
	}
	for _, name := range []string{"prometheus", "grafana"} {
		for _, port := range p.Services[name].Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is published on %s", name, port.HostIP)
			}
		}
	}
}

// TestComposeSeveralGates has a range of ports for several gates, as the page says.
func TestComposeSeveralGates(t *testing.T) {
	env := example(t)
	env["GATE_PORT"] = "8080-8081"
	gate := mustLoad(t, env, "compose.yaml", "compose.redis.yaml").Services["flowlatch"]
	if len(gate.Ports) != 1 || gate.Ports[0].Published != "8080-8081" || gate.Ports[0].Target != 8080 || gate.ContainerName != "" {
		t.Errorf("ports of the gate = %v, its name = %q, want one of 8080-8081 for each, and no name", gate.Ports, gate.ContainerName)
	}
}

// TestExampleVariables checks that each variable of .env.example is one that a compose file asks for.
func TestExampleVariables(t *testing.T) {
	asked := map[string]bool{}
	for _, path := range files(t, "compose", ".yaml") {
		for name := range matches(regexp.MustCompile(`\$\{([A-Z_]+)`), readFile(t, path)) {
			asked[name] = true
		}
	}
	for name := range example(t) {
		if !asked[name] {
			t.Errorf("no compose file asks for %s", name)
		}
	}
}
