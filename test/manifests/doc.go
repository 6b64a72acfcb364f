// Package manifests tests what lies in deploy: the compose files, the Kubernetes manifests, the
// alert rules and the dashboard. Each is read by the loader of the program it is for, and what it says of
// flowlatch is tried with flowlatch.
//
// It is a module of its own, so that Kubernetes and compose are no dependencies of flowlatch.
package manifests
