SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT := go tool -modfile=tools/golangci-lint.mod golangci-lint
FUZZTIME ?= 20s
BENCH ?= .
BENCHTIME ?= 1x
BASE ?= HEAD~1
PKG ?= ./...

.PHONY: demo help build test race lint fmt vet fuzz oracle test-faults test-cgroups bench bench-diff bench-speed golden cover arch sizes clean test-stack

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the static program bin/profiler (CI, under 5 minutes from nothing)
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/profiler ./cmd/profiler

demo: ## Show the demo: a pipeline, its faults, and what is found (Ctrl-C ends it)
	@go run ./cmd/profiler demo

test: vet ## Run vet and all tests, with a private Postgres (CI, under 10 minutes on 2 cores)
	@scripts/install-postgres.sh || [[ $$CI != true ]]
	@scripts/install-prometheus.sh || [[ $$CI != true ]]
	scripts/with-postgres.sh --optional go test -shuffle=on -timeout 15m ./...

race: ## Run all tests with the race detector (CI, under 15 minutes on 2 cores)
	CGO_ENABLED=1 scripts/with-postgres.sh --optional go test -race -shuffle=on -short -timeout 25m ./...

test-stack: ## Run the product beside real Prometheus, Alertmanager and Pushgateway (CI, under 3 minutes)
	@scripts/install-prometheus.sh
	CI=true go test -tags stack -count=1 -timeout 5m -run '^TestStack$$' ./internal/servertest

lint: ## Run the linters (CI, under 5 minutes; the first run builds them)
	$(LINT) run ./...

fmt: ## Format all Go files
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

vet: ## Run go vet (CI, under 3 minutes)
	go vet ./...

fuzz: ## Run each fuzz target for FUZZTIME (default 20s)
	scripts/fuzz.sh $(FUZZTIME)

test-faults: ## Kill, stop and starve pipelines, the long form (about an hour on 2 cores)
	PROFILER_FAULTS=long scripts/with-postgres.sh go test -count=1 -timeout 150m -v ./test/faults

test-cgroups: ## Run the tests of control groups in a kernel that has them (User Mode Linux, about a minute)
	go test -exec "$$PWD/scripts/with-cgroups.sh" -count=1 -run 'Group|Memory|Processors|Sweep' ./internal/cgroup ./internal/runner

oracle: ## Compare readers and profiles with naive ones: all seeds, sizes and real files (about 5 minutes on 2 cores)
	PROFILER_ORACLE=long go test -count=1 -timeout 40m ./internal/oracle

bench: ## Run the benchmarks of PKG that match BENCH for BENCHTIME (default: all, once)
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKG)

bench-diff: ## Compare the benchmarks of BASE (default HEAD~1) with the working tree, 6 runs each
	scripts/bench-diff.sh $(BASE) '$(BENCH)' $(PKG)

bench-speed: build ## Measure speed beside DuckDB and others (about an hour; docs/bench/README.md)
	bin/profiler bench speed --growth --output-file bin/speed.md

golden: ## Rewrite the golden files, then run the tests against them
	@pkgs=$$(go list -f '{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}{{"\n"}}={{.ImportPath}}' ./... | awk '/internal\/golden$$/ {g=1} /^=/ {if (g) print substr($$0, 2); g=0}'); \
	if [[ -z $$pkgs ]]; then echo "no package has golden files"; exit 0; fi; \
	scripts/with-postgres.sh --optional go test $$pkgs -update && \
	scripts/with-postgres.sh --optional go test -count=1 $$pkgs

cover: ## Write coverage.html and print the coverage of each package
	scripts/with-postgres.sh --optional go test -short -covermode=atomic -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html
	go tool cover -func=coverage.out | tail -n 1

arch: ## Check the import table internal/arch/layers.txt (CI, under 1 minute)
	go test ./internal/arch

sizes: ## Print the ten longest Go files and functions
	@go run ./tools/sizes

clean: ## Remove what the other targets made
	rm -rf bin coverage.out coverage.html
