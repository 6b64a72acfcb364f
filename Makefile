# Targets of flowlatch. Go is enough for them but where help says what else is needed; manifests uses promtool, Node, Python, PHP, nginx and Caddy where
# they are installed, proxies nginx and HAProxy, bench Caddy as well, bench-limits Redis too, release git.

GOLANGCI  = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT   = go run mvdan.cc/gofumpt@v0.12.0
VULNCHECK = go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./flowlatch, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o flowlatch ./cmd/flowlatch

.PHONY: image
image: ## build the image with docker, buildah or podman (IMAGE, PLATFORM and more: see deploy/image/build)
	@deploy/image/build

.PHONY: image-test
image-test: ## build the image twice and for arm64, run it, compare (needs root, Linux, buildah, busybox; podman to run it as a container)
	go test -tags image -count=1 -timeout 25m -v ./test/image

.PHONY: test
test: ## run the tests
	go test ./...

.PHONY: race
race: ## run the tests with the race detector, in another order each time
	go test -race -shuffle=on ./...

.PHONY: flood
flood: ## attack the gate with the limits of the manifests and print its largest memory (Linux; a minute)
	LONG_TESTS=1 go test -count=1 -v -run 'TestMemoryUnderAttack' ./cmd/flowlatch

.PHONY: fmt
fmt: ## format the code
	$(GOFUMPT) -w .

.PHONY: lint
lint: ## look for mistakes: format, vet, linters
	@unformatted=$$($(GOFUMPT) -l .); if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go vet -tags e2e ./test/...
	go vet -tags image ./test/image/...
	go vet -tags proxies ./test/proxies
	go vet -tags bench ./tools/bench
	$(GOLANGCI) run ./...
	cd test/manifests && go vet ./... && $(GOLANGCI) run ./...
	cd test/browser && go vet -tags e2e ./... && $(GOLANGCI) run ./...

.PHONY: fuzz
fuzz: ## fuzz each fuzz test for FUZZTIME
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

.PHONY: manifests
manifests: ## read compose files, Kubernetes manifests, alert rules and dashboard, try the gate as they run it, and the example sites
	cd test/manifests && go test ./...

.PHONY: browser
browser: ## look at the status page and the console in a browser (needs Chromium, and npm for axe-core)
	cd test/browser && go test -count=1 ./...

.PHONY: screenshot
screenshot: ## draw the pages' pictures of status page and console anew (needs Chromium)
	cd test/browser && BROWSER_SCREENSHOT=../../docs go test -count=1 -run Screenshot ./...

.PHONY: proxies
proxies: ## send refused requests through nginx and HAProxy: every response must arrive (needs both; 1 minute)
	go test -tags proxies -count=1 -timeout 10m ./test/proxies

.PHONY: kube
kube: ## apply the Kubernetes manifests to a real API server (see test/cluster; needs root, Linux, etcd; 7 minutes the first time)
	API_ONLY=1 test/cluster/up test/cluster/apply

KUBE_FLOWISE = $(HOME)/.cache/flowlatch-kube/flowise.tar
.PHONY: kube-node
kube-node: ## follow deploy/kubernetes/README.md on a real Kubernetes node (needs more, and a Flowise from npm)
	@[ -e $(KUBE_FLOWISE) ] || { mkdir -p $(dir $(KUBE_FLOWISE)) && test/cluster/flowise-image $(KUBE_FLOWISE); }
	FLOWISE_IMAGE=$(KUBE_FLOWISE) test/cluster/up test/cluster/follow

.PHONY: differential
differential: ## send 20,000 changed requests to the gate and around it, to a router like Flowise's (needs Node 20, npm, Linux)
	go test -tags e2e -count=1 -timeout 10m -v -run TestDifferential ./test/differential

.PHONY: e2e
e2e: ## run the end-to-end tests against real Flowise 2.2.8 and 3.1.4 (needs Node 20, npm, g++, make, curl, python3-requests, Chromium)
	test/e2e/run 2.2.8 3.1.4

.PHONY: e2e-n8n
e2e-n8n: ## run the end-to-end test of the preset n8n against a real n8n (needs Node 20, npm, g++, make, python3)
	go test -tags e2e -count=1 -timeout 20m -v ./test/e2e/n8n

.PHONY: bench-keys
bench-keys: ## measure what keys cost: large key files, 100 reloads a second, a decision, counting, memory (7 minutes)
	go run -tags bench ./tools/bench keys $(BENCH_ARGS)

.PHONY: bench
bench: ## measure what the gate costs beside httputil, nginx, HAProxy and Caddy (10 minutes; with BENCH_ARGS=-quick 2; see tools/bench)
	go run -tags bench ./tools/bench $(BENCH_ARGS)

.PHONY: bench-limits
bench-limits: ## measure what limits cost, counted here and in Redis, beside nginx, HAProxy and Caddy (4 minutes; with BENCH_ARGS=-quick 1)
	go run -tags bench ./tools/bench limits $(BENCH_ARGS)

.PHONY: bench-oracle
bench-oracle: ## measure whether the time of a refusal tells what the gate knows (1 minute)
	go run -tags bench ./tools/bench oracle $(BENCH_ARGS)

.PHONY: release
release: ## make archives, checksums and SBOMs in dist/ of a clean clone: make release VERSION=v0.1.0
	go run ./tools/release -version '$(VERSION)'

.PHONY: release-twice
release-twice: ## make a release twice, in other directories and from nothing compiled, and compare: it must be the same
	tools/release/twice

.PHONY: vuln
vuln: ## look for known holes in dependencies (needs vuln.go.dev)
	$(VULNCHECK) ./...

.PHONY: check
check: ## what CI runs
	.ci/run
