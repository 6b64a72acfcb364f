package manifests

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func containerNamed(t *testing.T, all []corev1.Container, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no container %s", name)
	}
	return all[i]
}

// variables returns the environment of a container as the kubelet makes it, with the password of each Secret.
func variables(list []corev1.EnvVar) map[string]string {
	env := map[string]string{}
	for _, v := range list {
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil && v.ValueFrom.SecretKeyRef.Key == "password" {
			env[v.Name] = passwordOf(v.ValueFrom.SecretKeyRef.Name)
			continue
		}
		env[v.Name] = expand(v.Value, env)
	}
	return env
}

// passwordOf is the password in a Secret.
func passwordOf(secret string) string { return "password-of-" + secret }

// expand replaces $(NAME) by variables that there are so far.
func expand(s string, env map[string]string) string {
	for name, value := range env {
		s = strings.ReplaceAll(s, "$("+name+")", value)
	}
	return s
}

// wantPod checks what holds for a pod with a gate in it.
func wantPod(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod has a service account's token")
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("the pod gets variables of Services")
	}
}

// wantConfinedContainer checks what a container may do.
func wantConfinedContainer(t *testing.T, pod corev1.PodSpec, c corev1.Container, asUser int64) {
	t.Helper()
	sc := c.SecurityContext
	nonRoot, user, seccomp := sc.RunAsNonRoot, sc.RunAsUser, sc.SeccompProfile
	if p := pod.SecurityContext; p != nil { // what the container does not say itself
		if nonRoot == nil {
			nonRoot = p.RunAsNonRoot
		}
		if user == nil {
			user = p.RunAsUser
		}
		if seccomp == nil {
			seccomp = p.SeccompProfile
		}
	}
	switch {
	case nonRoot == nil || !*nonRoot, user == nil || *user != asUser:
		t.Errorf("%s runs as %v, want %d, and never root", c.Name, user, asUser)
	case seccomp == nil || seccomp.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Errorf("seccomp profile = %v, want RuntimeDefault", seccomp)
	case sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem, sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation:
		t.Errorf("%s may write to its root file system, or gain privileges", c.Name)
	case sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0:
		t.Errorf("capabilities = %v, want none", sc.Capabilities)
	}
	if c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s has no memory limit", c.Name)
	}
}

// wantGate checks how the gate may run, runs it, and returns its upstream.
func wantGate(t *testing.T, pod corev1.PodSpec, gate corev1.Container) string {
	t.Helper()
	env, _ := wantSharedGate(t, pod, gate, "")
	return env["FLOWLATCH_UPSTREAM"]
}

// wantSharedGate is wantGate with a Redis that runs here. It returns the gate's variables, and its metrics.
func wantSharedGate(t *testing.T, pod corev1.PodSpec, gate corev1.Container, redis string) (env map[string]string, metrics string) {
	t.Helper()
	wantConfinedContainer(t, pod, gate, 65532)
	if gate.StartupProbe == nil || gate.ReadinessProbe == nil || !slices.Equal(gate.StartupProbe.Exec.Command, gate.ReadinessProbe.Exec.Command) {
		t.Fatalf("probes of the gate = %v, %v, want both, with the same command", gate.StartupProbe, gate.ReadinessProbe)
	}
	if len(gate.VolumeMounts) != 1 || gate.VolumeMounts[0].SubPath != "" || !gate.VolumeMounts[0].ReadOnly {
		t.Fatalf("mounts of the gate = %v, want one, a directory, read only", gate.VolumeMounts)
	}
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == gate.VolumeMounts[0].Name })
	if i < 0 || pod.Volumes[i].Secret == nil || pod.Volumes[i].Secret.SecretName != "flowlatch-keys" || *pod.Volumes[i].Secret.DefaultMode != 0o444 {
		t.Fatalf("volumes = %v, want the Secret flowlatch-keys, which user 65532 can read", pod.Volumes)
	}
	env = variables(gate.Env)
	return env, try(t, container{env: env, args: gate.Args, keys: gate.VolumeMounts[0].MountPath, healthcheck: gate.ReadinessProbe.Exec.Command, redis: redis})
}

// wantGrace checks that a pod may live for as long as it takes to end well.
func wantGrace(t *testing.T, pod corev1.PodSpec, gate corev1.Container, preStop int64) {
	t.Helper()
	drain, err := time.ParseDuration(variables(gate.Env)["FLOWLATCH_DRAIN"])
	if err != nil {
		t.Fatal(err)
	}
	if need := time.Duration(preStop)*time.Second + drain; time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second < need+5*time.Second {
		t.Errorf("terminationGracePeriodSeconds = %d, want more than preStop and drain, %v", *pod.TerminationGracePeriodSeconds, need)
	}
}

// wantMonitored checks that Prometheus finds the admin listener, and nobody else does.
func wantMonitored(t *testing.T, all objects, d *appsv1.Deployment, gate corev1.Container) {
	t.Helper()
	if admin := variables(gate.Env)["FLOWLATCH_ADMIN"]; admin != ":9901" {
		t.Errorf("FLOWLATCH_ADMIN = %q, want :9901", admin)
	}
	s := get[corev1.Service](t, all, "Service/flowlatch-metrics")
	wantSelected(t, s.Spec.Selector, d.Spec.Template)
	m := get[serviceMonitor](t, all, "ServiceMonitor/flowlatch")
	for k, v := range m.Spec.Selector.MatchLabels {
		if s.Labels[k] != v {
			t.Errorf("the ServiceMonitor looks for %s=%s, the Service has %v", k, v, s.Labels)
		}
	}
	if e, p := m.Spec.Endpoints, s.Spec.Ports; len(e) != 1 || len(p) != 1 || e[0].Port != p[0].Name || e[0].Path != "/metrics" || p[0].TargetPort != intstr.FromInt32(9901) {
		t.Errorf("the ServiceMonitor scrapes %v of %v", e, p)
	}
	policy := get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowlatch-metrics")
	wantSelected(t, policy.Spec.PodSelector.MatchLabels, d.Spec.Template)
	if len(policy.Spec.Ingress) != 1 || len(policy.Spec.Ingress[0].From) != 1 || policy.Spec.Ingress[0].From[0].NamespaceSelector == nil || !slices.Equal(ports(policy), []int32{9901}) {
		t.Errorf("sources allowed to reach the admin listener = %v, want one namespace", policy.Spec.Ingress)
	}
	if diff := cmp.Diff(rules(t), get[prometheusRule](t, all, "PrometheusRule/flowlatch").Spec); diff != "" {
		t.Errorf("kubernetes/monitoring/rules.yaml is not as prometheus/flowlatch.rules.yaml (-want +got):\n%s", diff)
	}
}

func wantSelects(selector map[string]string, pod corev1.PodTemplateSpec) bool {
	for k, v := range selector {
		if pod.Labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func wantSelected(t *testing.T, selector map[string]string, pod corev1.PodTemplateSpec) {
	t.Helper()
	if !wantSelects(selector, pod) {
		t.Errorf("selector %v does not find the pod with %v", selector, pod.Labels)
	}
}

func ports(p *networkingv1.NetworkPolicy) (list []int32) {
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			list = append(list, port.Port.IntVal)
		}
	}
	return list
}
