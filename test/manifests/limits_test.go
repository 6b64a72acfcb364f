package manifests

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// edgeWith builds the edge with components, in a namespace as users have it.
func edgeWith(t *testing.T, components ...string) (all objects, gates *appsv1.Deployment) {
	t.Helper()
	all = mustBuild(t, "own", map[string]string{"own/kustomization.yaml": with("edge", components...) + "namespace: chat\n"})
	return all, get[appsv1.Deployment](t, all, "Deployment/flowlatch")
}

// TestEdgeLimitsRedis builds gates that count in a Redis, runs the Redis and lets a gate count in it.
func TestEdgeLimitsRedis(t *testing.T) {
	for _, components := range [][]string{{"limits-redis"}, {"monitoring", "limits-redis"}} {
		t.Run(strings.Join(components, ", "), func(t *testing.T) {
			all, gates := edgeWith(t, components...)
			d := get[appsv1.Deployment](t, all, "Deployment/flowlatch-redis")
			if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
				t.Errorf("Redis has %d replicas and is replaced by %s, want never two at once", *d.Spec.Replicas, d.Spec.Strategy.Type)
			}
			pod := d.Spec.Template.Spec
			wantPod(t, pod)
			redis := containerNamed(t, pod.Containers, "redis")
			wantConfinedContainer(t, pod, redis, 999)
			s := get[corev1.Service](t, all, "Service/flowlatch-redis")
			wantSelected(t, s.Spec.Selector, d.Spec.Template)
			if redis.ReadinessProbe == nil || redis.LivenessProbe == nil || !slices.Equal(redis.ReadinessProbe.Exec.Command, redis.LivenessProbe.Exec.Command) {
				t.Fatalf("probes of Redis = %v, %v, want both, with the same command", redis.ReadinessProbe, redis.LivenessProbe)
			}

			policy := get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowlatch-redis")
			wantSelected(t, policy.Spec.PodSelector.MatchLabels, d.Spec.Template)
			in := policy.Spec.Ingress
			if len(in) != 1 || len(in[0].From) != 1 || in[0].From[0].PodSelector == nil || in[0].From[0].NamespaceSelector != nil || !slices.Equal(ports(policy), []int32{6379}) {
				t.Fatalf("sources allowed to reach Redis = %v, want the gates alone, on 6379", in)
			}
			wantSelected(t, in[0].From[0].PodSelector.MatchLabels, gates.Spec.Template)
			if !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) || len(policy.Spec.Egress) > 0 {
				t.Errorf("Redis may connect to %v, want nobody", policy.Spec.Egress)
			}
			for name, object := range all { // whoever else would be taken for a gate or for Redis
				other, ok := object.(*appsv1.Deployment)
				if ok && other != gates && wantSelects(in[0].From[0].PodSelector.MatchLabels, other.Spec.Template) || ok && other != d && wantSelects(s.Spec.Selector, other.Spec.Template) {
					t.Errorf("the pods of %s are taken for gates or for Redis", name)
				}
			}
			for _, selector := range []map[string]string{
				get[corev1.Service](t, all, "Service/flowlatch").Spec.Selector,
				get[networkingv1.NetworkPolicy](t, all, "NetworkPolicy/flowlatch").Spec.PodSelector.MatchLabels,
			} {
				if wantSelects(selector, d.Spec.Template) {
					t.Errorf("selector %v of the gates finds Redis", selector)
				}
			}

			gate := containerNamed(t, gates.Spec.Template.Spec.Containers, "flowlatch")
			env := variables(redis.Env)
			command := slices.Clone(redis.Command)
			for _, arg := range redis.Args {
				command = append(command, expand(arg, env))
			}
			url := runRedis(t, redisContainer{
				service: s.Name, url: variables(gate.Env)["FLOWLATCH_LIMITS_REDIS"], password: passwordOf("flowlatch-redis"),
				command: command, probe: redis.ReadinessProbe.Exec.Command,
			})
			if _, metrics := wantSharedGate(t, gates.Spec.Template.Spec, gate, url); !strings.Contains(metrics, "\nflowlatch_limits_backend_up 1\n") {
				t.Error("the gate does not count in Redis")
			}
		})
	}
}

// TestEdgeLimitsReplicas builds gates that divide limits among themselves, and runs one.
func TestEdgeLimitsReplicas(t *testing.T) {
	all, gates := edgeWith(t, "limits-replicas")
	s := get[corev1.Service](t, all, "Service/flowlatch-gates")
	wantSelected(t, s.Spec.Selector, gates.Spec.Template)
	if diff := cmp.Diff(get[corev1.Service](t, all, "Service/flowlatch").Spec.Selector, s.Spec.Selector); diff != "" {
		t.Errorf("the headless Service has other pods than that for clients (-want +got):\n%s", diff)
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("clusterIP = %q, want None: an address for each gate", s.Spec.ClusterIP)
	}
	if !s.Spec.PublishNotReadyAddresses {
		t.Error("gates that start or drain are left out, so that others take their shares")
	}
	gate := containerNamed(t, gates.Spec.Template.Spec.Containers, "flowlatch")
	env, _ := wantSharedGate(t, gates.Spec.Template.Spec, gate, "")
	if got, want := env["FLOWLATCH_LIMITS_REPLICAS"], "dns:"+s.Name; got != want {
		t.Errorf("FLOWLATCH_LIMITS_REPLICAS = %q, want %q", got, want)
	}
}

// TestEdgeLimitsFailLoudly: where there is no Deployment of gates, or both ways are chosen, somebody says so.
func TestEdgeLimitsFailLoudly(t *testing.T) {
	for _, component := range []string{"limits-redis", "limits-replicas"} {
		if _, err := build(t, "own", map[string]string{"own/kustomization.yaml": with("flowise", component)}); err == nil || !strings.Contains(err.Error(), "flowlatch") {
			t.Errorf("%s without gates: %v, want an error that names them", component, err)
		}
	}
	_, gates := edgeWith(t, "limits-redis", "limits-replicas")
	check := exec.Command(testkit.Build(t), "check")
	for name, value := range variables(containerNamed(t, gates.Spec.Template.Spec.Containers, "flowlatch").Env) {
		check.Env = append(check.Env, name+"="+value)
	}
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), "FLOWLATCH_LIMITS_REPLICAS") || !strings.Contains(string(out), "--limits-redis") {
		t.Errorf("flowlatch check with both: %v, %s, want an error that names them", err, out)
	}
}
