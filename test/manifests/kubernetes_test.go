package manifests

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what a kustomization builds, by kind and name.
type objects map[string]any

// get returns an object that must be there.
func get[T any](t *testing.T, all objects, name string) *T {
	t.Helper()
	o, ok := all[name].(*T)
	if !ok {
		t.Fatalf("%s = %T, want %T", name, all[name], o)
	}
	return o
}

// The Prometheus operator's kinds, as far as they are used here.
type (
	serviceMonitor struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Selector  metav1.LabelSelector `json:"selector"`
			Endpoints []struct {
				Port     string `json:"port"`
				Path     string `json:"path"`
				Interval string `json:"interval"`
			} `json:"endpoints"`
		} `json:"spec"`
	}
	prometheusRule struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              ruleFile `json:"spec"`
	}
)

// kinds make an empty object of each kind that may occur.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                      func() any { return new(appsv1.Deployment) },
	"v1 Service":                              func() any { return new(corev1.Service) },
	"v1 PersistentVolumeClaim":                func() any { return new(corev1.PersistentVolumeClaim) },
	"policy/v1 PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(serviceMonitor) },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return new(prometheusRule) },
}

// decode reads a manifest as the API server does when it is told to be strict: an unknown, a doubled or
// a differently capitalised field is an error.
func decode(manifest []byte) (name string, object any, err error) {
	j, err := yaml.YAMLToJSONStrict(manifest)
	if err != nil {
		return "", nil, err
	}
	var head struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(j, &head); err != nil {
		return "", nil, err
	}
	name = head.Kind + "/" + head.Name
	empty, ok := kinds[head.APIVersion+" "+head.Kind]
	if !ok {
		return name, nil, fmt.Errorf("no such kind here: %s %s", head.APIVersion, head.Kind)
	}
	object = empty()
	strict, err := json.UnmarshalStrict(j, object)
	return name, object, errors.Join(append(strict, err)...)
}

// build runs kustomize over a folder of deploy/kubernetes, with more files put beside it, and decodes
// what comes out.
func build(t *testing.T, folder string, more map[string]string) (objects, error) {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	write := func(path, content string) {
		if err := fs.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range files(t, "kubernetes", ".yaml") {
		write("/"+path, readFile(t, path))
	}
	for path, content := range more {
		write("/kubernetes/"+path, content)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/kubernetes/"+folder)
	if err != nil {
		return nil, err
	}
	all := objects{}
	for _, r := range built.Resources() {
		manifest, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		name, object, err := decode(manifest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = object
	}
	return all, nil
}

func mustBuild(t *testing.T, folder string, more map[string]string) objects {
	t.Helper()
	all, err := build(t, folder, more)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// with is a kustomization of a folder with components.
func with(folder string, components ...string) string {
	return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../" + folder + "]\ncomponents: [../" + strings.Join(components, ", ../") + "]\n"
}

// TestDecodeIsStrict tries the decoder itself.
func TestDecodeIsStrict(t *testing.T) {
	for _, bad := range []string{
		"spec: {ports: [{port: 1, tragetPort: 2}]}",
		"spec: {Ports: [{port: 1}]}",
		"spec: {ports: [{port: 1, port: 1}]}",
	} {
		if _, _, err := decode([]byte("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n" + bad)); err == nil {
			t.Errorf("decode(%s) = no error, want one", bad)
		}
	}
}

// foreign is another deployment of Flowise: other probes, port 80, other variables, no seccomp.
const foreign = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: flowise, labels: {app: chat}}
spec:
  selector: {matchLabels: {app: chat}}
  template:
    metadata: {labels: {app: chat}}
    spec:
      serviceAccountName: chat
      initContainers:
        - {name: migrate, image: migrate}
      containers:
        - name: metrics
          image: metrics
        - name: flowise
          image: flowise
          env: [{name: HOST, value: 0.0.0.0}, {name: PORT, value: "3000"}]
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}, postStart: {exec: {command: ["true"]}}}
          startupProbe: {grpc: {port: 3000}}
          livenessProbe: {exec: {command: [curl, localhost:3000]}, initialDelaySeconds: 7}
          readinessProbe: {tcpSocket: {port: 3000}}
---
apiVersion: v1
kind: Service
metadata: {name: flowise}
spec:
  selector: {app: chat}
  ports: [{port: 80, targetPort: 3000}]
`

// chart is what the Helm chart makes with helm/values.yaml, as far as it matters here, written after its templates.
const chart = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: flowise, namespace: chat, labels: {app.kubernetes.io/name: flowise, app.kubernetes.io/instance: flowise}}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: flowise, app.kubernetes.io/instance: flowise}}
  template:
    metadata: {labels: {app.kubernetes.io/name: flowise, app.kubernetes.io/instance: flowise}}
    spec:
      enableServiceLinks: false
      serviceAccountName: flowise
      securityContext: {seccompProfile: {type: RuntimeDefault}}
      initContainers: null
      containers:
        - name: flowise
          image: docker.io/flowiseai/flowise:3.0.3
          env: [{name: MODE, value: main}, {name: PORT, value: "3000"}, {name: DATABASE_PATH, value: /data}]
          ports: [{name: http, containerPort: 3000, protocol: TCP}]
          livenessProbe: {httpGet: {path: /api/v1/ping, port: http}, initialDelaySeconds: 0, periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1}
          readinessProbe: {httpGet: {path: /api/v1/ping, port: http}, initialDelaySeconds: 0, periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1}
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: flowise}}]
---
apiVersion: v1
kind: Service
metadata: {name: flowise, namespace: chat}
spec:
  type: ClusterIP
  ports: [{port: 3000, targetPort: http, protocol: TCP, name: http}]
  selector: {app.kubernetes.io/name: flowise, app.kubernetes.io/instance: flowise}
`

const foreignKustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [flowise.yaml]\ncomponents: [../sidecar]\nimages: [{name: flowlatch, newName: registry.example.com/flowlatch, newTag: \"1.0\"}]\n"

// TestSidecar adds the sidecar to three deployments of Flowise: that of base, another one, and that of the Helm chart.
func TestSidecar(t *testing.T) {
	for _, c := range []struct {
		name, folder string
		more         map[string]string
		port         int32
	}{
		{"base", "base", nil, 3000},
		{"with monitoring", "own", map[string]string{"own/kustomization.yaml": with("base", "monitoring")}, 3000},
		{"another one", "own", map[string]string{"own/kustomization.yaml": foreignKustomization, "own/flowise.yaml": foreign}, 80},
		{"the chart's", "helm", map[string]string{"helm/chart.yaml": chart}, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := mustBuild(t, c.folder, c.more)
			d := get[appsv1.Deployment](t, all, "Deployment/flowise")
			pod := d.Spec.Template.Spec
			wantPod(t, pod)
			gate := containerNamed(t, pod.InitContainers, "flowlatch")
			if gate.RestartPolicy == nil || *gate.RestartPolicy != corev1.ContainerRestartPolicyAlways {
				t.Errorf("restartPolicy of the gate = %v, want Always, or it is no sidecar", gate.RestartPolicy)
			}
			if gate.Lifecycle != nil {
				t.Errorf("lifecycle of the gate = %v, want none: it ends after Flowise", gate.Lifecycle)
			}
			if up := wantGate(t, pod, gate); up != "http://127.0.0.1:3000" {
				t.Errorf("upstream = %s, want Flowise in the pod", up)
			}

			if strings.HasPrefix(c.name, "another") != (gate.Image == "registry.example.com/flowlatch:1.0") {
				t.Errorf("image of the gate = %s, want what the kustomization says", gate.Image)
			}

			flowise := containerNamed(t, pod.Containers, "flowise")
			if env := variables(flowise.Env); env["HOST"] != "127.0.0.1" || env["PORT"] != "3000" {
				t.Errorf("HOST, PORT = %q, %q, want 127.0.0.1, 3000", env["HOST"], env["PORT"])
			}
			through := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/api/v1/ping", Port: intstr.FromInt32(8080)}}
			for name, probe := range map[string]*corev1.Probe{"startup": flowise.StartupProbe, "readiness": flowise.ReadinessProbe, "liveness": flowise.LivenessProbe} {
				if probe == nil {
					t.Errorf("Flowise has no %s probe", name)
				} else if diff := cmp.Diff(through, probe.ProbeHandler); diff != "" {
					t.Errorf("%s probe of Flowise (-want +got):\n%s", name, diff)
				}
			}
			wait := flowise.Lifecycle.PreStop
			if wait == nil || wait.Sleep == nil || wait.Exec != nil {
				t.Fatalf("preStop of Flowise = %v, want sleep alone", wait)
			}
			wantGrace(t, pod, gate, wait.Sleep.Seconds)

			s := get[corev1.Service](t, all, "Service/flowise")
			if p := s.Spec.Ports; len(p) != 1 || p[0].Port != c.port || p[0].TargetPort != intstr.FromInt32(8080) {
				t.Errorf("ports of the Service = %v, want %d to 8080, the gate's", p, c.port)
			}
			policy := get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowise-gate")
			wantSelected(t, policy.Spec.PodSelector.MatchLabels, d.Spec.Template)
			wantSelected(t, s.Spec.Selector, d.Spec.Template)
			wantSelected(t, d.Spec.Selector.MatchLabels, d.Spec.Template)
			if diff := cmp.Diff([]int32{8080}, ports(policy)); diff != "" {
				t.Errorf("ports that can be reached (-want +got):\n%s", diff)
			}
			if strings.Contains(c.name, "monitoring") {
				wantMonitored(t, all, d, gate)
			} else if admin := variables(gate.Env)["FLOWLATCH_ADMIN"]; admin != "" {
				t.Errorf("FLOWLATCH_ADMIN = %s, want it on loopback", admin)
			}
		})
	}
}

// TestSidecarDoesNotFit builds Flowises that the component does not know: it must say so.
func TestSidecarDoesNotFit(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"another name of the Deployment", "metadata: {name: flowise, labels: {app: chat}}", "metadata: {name: chat}"},
		{"another name of the Service", "kind: Service\nmetadata: {name: flowise}", "kind: Service\nmetadata: {name: chat}"},
	} {
		if _, err := build(t, "own", map[string]string{"own/kustomization.yaml": foreignKustomization, "own/flowise.yaml": strings.Replace(foreign, c.old, c.new, 1)}); err == nil || !strings.Contains(err.Error(), "flowise") {
			t.Errorf("%s: %v, want an error that names flowise", c.name, err)
		}
	}
	// A container of another name gets a neighbour without an image, which the API server refuses.
	all := mustBuild(t, "own", map[string]string{"own/kustomization.yaml": foreignKustomization, "own/flowise.yaml": strings.Replace(foreign, "name: flowise\n          image", "name: chat\n          image", 1)})
	if c := containerNamed(t, get[appsv1.Deployment](t, all, "Deployment/flowise").Spec.Template.Spec.Containers, "flowise"); c.Image != "" {
		t.Errorf("image of the container flowise = %s, want none", c.Image)
	}
}

// TestEdge builds gates of their own.
func TestEdge(t *testing.T) {
	for _, monitored := range []bool{false, true} {
		t.Run(fmt.Sprintf("monitored %v", monitored), func(t *testing.T) {
			all := mustBuild(t, "own", map[string]string{"own/kustomization.yaml": with("edge", "monitoring")})
			if !monitored {
				all = mustBuild(t, "edge", nil)
			}
			d := get[appsv1.Deployment](t, all, "Deployment/flowlatch")
			pod := d.Spec.Template.Spec
			wantPod(t, pod)
			gate := containerNamed(t, pod.Containers, "flowlatch")
			up := wantGate(t, pod, gate)
			wantGrace(t, pod, gate, gate.Lifecycle.PreStop.Sleep.Seconds)

			flowise := get[corev1.Service](t, all, "Service/flowise")
			f := get[appsv1.Deployment](t, all, "Deployment/flowise")
			wantSelected(t, flowise.Spec.Selector, f.Spec.Template)
			if want := fmt.Sprintf("http://%s:%d", flowise.Name, flowise.Spec.Ports[0].Port); up != want {
				t.Errorf("upstream = %s, want %s", up, want)
			}
			s := get[corev1.Service](t, all, "Service/flowlatch")
			wantSelected(t, s.Spec.Selector, d.Spec.Template)
			if got := s.Spec.Ports[0].TargetPort; got != intstr.FromInt32(8080) {
				t.Errorf("the Service leads to %v, want 8080", got)
			}
			wall := get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowise")
			wantSelected(t, wall.Spec.PodSelector.MatchLabels, f.Spec.Template)
			if r := wall.Spec.Ingress; len(r) != 1 || len(r[0].From) != 1 || r[0].From[0].PodSelector == nil {
				t.Fatalf("sources allowed to reach Flowise = %v, want the gates alone", r)
			}
			wantSelected(t, wall.Spec.Ingress[0].From[0].PodSelector.MatchLabels, d.Spec.Template)
			if wantSelects(wall.Spec.Ingress[0].From[0].PodSelector.MatchLabels, f.Spec.Template) {
				t.Error("Flowise's own pods are taken for gates")
			}
			wantSelected(t, get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowlatch").Spec.PodSelector.MatchLabels, d.Spec.Template)

			scaler := get[autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler/flowlatch").Spec
			if scaler.ScaleTargetRef.Name != d.Name || *scaler.MinReplicas < 2 || d.Spec.Replicas != nil {
				t.Errorf("the autoscaler is for %s from %d, the Deployment says %v; want it for flowlatch from 2, and replicas left to it", scaler.ScaleTargetRef.Name, *scaler.MinReplicas, d.Spec.Replicas)
			}
			if gate.Resources.Requests.Cpu().IsZero() {
				t.Error("the gate requests no CPU, of which the autoscaler reckons its share")
			}
			budget := get[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget/flowlatch")
			wantSelected(t, budget.Spec.Selector.MatchLabels, d.Spec.Template)
			if len(pod.TopologySpreadConstraints) == 0 {
				t.Error("the gates are not spread")
			}
			for _, c := range pod.TopologySpreadConstraints {
				wantSelected(t, c.LabelSelector.MatchLabels, d.Spec.Template)
			}
			if monitored {
				wantMonitored(t, all, d, gate)
			}
		})
	}
}

func containerNamed(t *testing.T, all []corev1.Container, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no container %s", name)
	}
	return all[i]
}

func variables(list []corev1.EnvVar) map[string]string {
	env := map[string]string{}
	for _, v := range list {
		env[v.Name] = v.Value
	}
	return env
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

// wantGate checks how the gate may run, runs it, and returns its upstream.
func wantGate(t *testing.T, pod corev1.PodSpec, gate corev1.Container) string {
	t.Helper()
	sc := gate.SecurityContext
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
	case nonRoot == nil || !*nonRoot, user == nil || *user != 65532:
		t.Errorf("the gate runs as %v, want 65532, and never root", user)
	case seccomp == nil || seccomp.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Errorf("seccomp profile = %v, want RuntimeDefault", seccomp)
	case sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem, sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation:
		t.Error("the gate may write to its root file system, or gain privileges")
	case sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0:
		t.Errorf("capabilities = %v, want none", sc.Capabilities)
	}
	if gate.Resources.Limits.Memory().IsZero() {
		t.Error("the gate has no memory limit")
	}
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
	env := variables(gate.Env)
	try(t, container{env: env, args: gate.Args, keys: gate.VolumeMounts[0].MountPath, healthcheck: gate.ReadinessProbe.Exec.Command})
	return env["FLOWLATCH_UPSTREAM"]
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

// TestEveryManifestIsBuilt looks for files that no kustomization names.
func TestEveryManifestIsBuilt(t *testing.T) {
	named := ""
	for _, path := range files(t, "kubernetes", "kustomization.yaml") {
		named += readFile(t, path)
	}
	for _, path := range files(t, "kubernetes", ".yaml") {
		if base := filepath.Base(path); base != "kustomization.yaml" && path != "kubernetes/helm/values.yaml" && !strings.Contains(named, base) {
			t.Errorf("%s is in no kustomization", path)
		}
	}
}
