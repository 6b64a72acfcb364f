package manifests

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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

// TestKubernetesPageNamesTheNamespace: the gate finds its Secret only in Flowise's namespace, so no command on the page may
// leave it to kubectl's settings where something goes.
func TestKubernetesPageNamesTheNamespace(t *testing.T) {
	command := regexp.MustCompile("kubectl [^|`#\\n]+")
	found := command.FindAllString(readFile(t, "kubernetes/README.md"), -1)
	if len(found) < 20 {
		t.Fatalf("kubectl commands on the page = %d, want 20 or more: are they still found?", len(found))
	}
	for _, c := range found {
		if !strings.HasPrefix(c, "kubectl -n chat ") && !strings.HasPrefix(c, "kubectl create namespace ") && !strings.HasPrefix(c, "kubectl kustomize ") && !strings.HasPrefix(c, "kubectl command") {
			t.Errorf("command %q, want -n chat", c)
		}
	}
}
