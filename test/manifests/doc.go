// Package manifests tests the files in deploy: the compose files, the Kubernetes manifests, the alert rules, the
// dashboard and the example sites. Each is read by the loader of the program that it is for, and its settings are tried with flowlatch.
//
// It is a module of its own, so that Kubernetes and compose do not become dependencies of flowlatch.
package manifests
