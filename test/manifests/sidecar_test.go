package manifests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

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
