package manifests

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// theirs is an existing compose file of a Flowise, after the one in Flowise's own repository.
const theirs = `
services:
  flowise:
    image: flowiseai/flowise
    environment:
      - PORT=${PORT}
    ports:
      - '${PORT}:${PORT}'
      - 9229:9229
    volumes:
      - ~/.flowise:/root/.flowise
    entrypoint: /bin/sh -c "sleep 3; flowise start"
`

// TestExistingCompose adds the gate to an existing compose file of a Flowise.
func TestExistingCompose(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "deploy", "compose"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		Environment: map[string]string{"PORT": "3456", "GATE_PORT": "3000", "HOME": "/root"},
		ConfigFiles: []types.ConfigFile{
			{Filename: filepath.Join(dir, "docker-compose.yml"), Content: []byte(theirs)},
			{Filename: filepath.Join(dir, "compose.existing.yaml"), Content: []byte(readFile(t, "compose/compose.existing.yaml"))},
		},
	}, func(o *loader.Options) { o.SetProjectName("theirs", true); o.Profiles = []string{"*"} })
	if err != nil {
		t.Fatal(err)
	}
	flowise, gate, key := p.Services["flowise"], p.Services["flowlatch"], p.Services["key"]
	if len(flowise.Ports) > 0 || flowise.Image != "flowiseai/flowise" || len(flowise.Volumes) != 1 {
		t.Errorf("their Flowise = image %s, ports %v, volumes %v, want it as it was without ports", flowise.Image, flowise.Ports, flowise.Volumes)
	}
	if len(gate.Ports) != 1 || gate.Ports[0].HostIP != "127.0.0.1" || gate.Ports[0].Published != "3000" || gate.Ports[0].Target != 8080 {
		t.Errorf("ports of the gate = %v, want 127.0.0.1:3000 to 8080", gate.Ports)
	}
	if len(gate.Volumes) != 1 || !gate.Volumes[0].ReadOnly || key.Volumes[0].Source != gate.Volumes[0].Source || key.NetworkMode != "none" {
		t.Errorf("the gate's volumes = %v, those of key = %v, want the same directory, read only for the gate", gate.Volumes, key.Volumes)
	}
	env := map[string]string{}
	for k, v := range gate.Environment {
		env[k] = *v
	}
	if env["FLOWLATCH_UPSTREAM"] != "http://flowise:3456" {
		t.Errorf("upstream = %s, want their Flowise's port", env["FLOWLATCH_UPSTREAM"])
	}
	try(t, container{env: env, args: gate.Command, keys: gate.Volumes[0].Target, healthcheck: gate.HealthCheck.Test[1:]})

	// The gate must be the same as in compose.yaml.
	other := mustLoad(t, nil, "compose.yaml").Services
	for name, s := range map[string]types.ServiceConfig{"flowlatch": gate, "key": key} {
		want := other[name]
		if s.Image != want.Image || s.PullPolicy != "never" || want.PullPolicy != "never" || s.User != want.User || s.ReadOnly != want.ReadOnly ||
			!slices.Equal(s.CapDrop, want.CapDrop) || !slices.Equal(s.SecurityOpt, want.SecurityOpt) || !slices.Equal(s.Entrypoint, want.Entrypoint) {
			t.Errorf("%s = %s (%s) as %s, read only %v, without %v, %v; want it as in compose.yaml", name, s.Image, s.PullPolicy, s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if name == "flowlatch" && (*s.StopGracePeriod != *want.StopGracePeriod || !slices.Equal(s.HealthCheck.Test, want.HealthCheck.Test)) {
			t.Errorf("flowlatch ends within %v and is asked by %v, want it as in compose.yaml", s.StopGracePeriod, s.HealthCheck.Test)
		}
	}
}
