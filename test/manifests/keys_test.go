package manifests

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestKeysProjected builds gates that read several Secrets as a directory of key files, and runs one.
func TestKeysProjected(t *testing.T) {
	for _, test := range []struct {
		name, deployment string
		components       []string
		gate             func(pod corev1.PodSpec) []corev1.Container
	}{
		{"edge", "flowlatch", []string{"keys-projected"}, func(pod corev1.PodSpec) []corev1.Container { return pod.Containers }},
		{"edge, monitored", "flowlatch", []string{"monitoring", "keys-projected"}, func(pod corev1.PodSpec) []corev1.Container { return pod.Containers }},
		{"flowise", "flowise", []string{"sidecar", "keys-projected"}, func(pod corev1.PodSpec) []corev1.Container { return pod.InitContainers }},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder, _, _ := strings.Cut(test.name, ",")
			all := mustBuild(t, "own", map[string]string{"own/kustomization.yaml": with(folder, test.components...)})
			pod := get[appsv1.Deployment](t, all, "Deployment/"+test.deployment).Spec.Template.Spec
			gate := containerNamed(t, test.gate(pod), "flowlatch")
			env := variables(gate.Env)
			i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == gate.VolumeMounts[0].Name })
			if i < 0 || pod.Volumes[i].Secret != nil || pod.Volumes[i].Projected == nil || *pod.Volumes[i].Projected.DefaultMode != 0o444 {
				t.Fatalf("volumes = %v, want a projected one, which user 65532 can read", pod.Volumes)
			}
			var files, stay []string
			for _, s := range pod.Volumes[i].Projected.Sources {
				files = append(files, s.Secret.Items[0].Path)
				if s.Secret.Optional == nil || !*s.Secret.Optional {
					stay = append(stay, s.Secret.Items[0].Path)
				}
			}
			if diff := cmp.Diff(stay, strings.Split(env["FLOWLATCH_KEYS_REQUIRE"], ",")); diff != "" {
				t.Errorf("FLOWLATCH_KEYS_REQUIRE is not the files of the Secrets that must be there (-want +got):\n%s", diff)
			}
			if len(gate.VolumeMounts) != 1 || gate.VolumeMounts[0].SubPath != "" || env["FLOWLATCH_KEYS"] != gate.VolumeMounts[0].MountPath {
				t.Errorf("mounts of the gate = %v, want one, a directory, at %q", gate.VolumeMounts, env["FLOWLATCH_KEYS"])
			}
			metrics := try(t, container{env: env, args: gate.Args, keys: gate.VolumeMounts[0].MountPath, files: files, healthcheck: gate.ReadinessProbe.Exec.Command})
			for _, file := range files {
				if !strings.Contains(metrics, `flowlatch_keys_stale{file="`+file+`"} 0`) {
					t.Errorf("metrics have no series of %s", file)
				}
			}
		})
	}
}
