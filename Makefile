# What a person types. `make` alone lists it.

FUZZTIME ?= 10s
# What takes longest to test comes first, so that it isn't what all wait for in the end.
PACKAGES := ./transport/epoll ./internal/conformance ./cmd/websock ./internal/faults ./transport/h2 ./fanout ./... ./cmd/websock/... ./transport/h3/...
MODULES  := . cmd/websock interop bench fanout/prom fanout/cluster fanout/cluster/prom transport/h3 examples/mqtt examples/chat internal/gen

# Its processes and NATS servers take all processors: it is tested alone.
CLUSTER := ./fanout/cluster/...

.PHONY: help build install uninstall profile dist reproduce test test-packages test-cluster race race-packages race-cluster purego purego-packages purego-transports arm64 cross windows vet staticcheck lint tidy vuln fuzz bench bench-quick others loopback guard api generate interop peers cover coverage ci

# Linters, and programs that are tested with, are built once for each of their versions and each version of Go, and kept.
TOOLS       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/websock-tools/$(shell go env GOVERSION)
STATICCHECK = $(TOOLS)/v0.8.2/staticcheck
GOLANGCI    = $(TOOLS)/v2.15.0/golangci-lint
GOVULNCHECK = $(TOOLS)/v1.9.0/govulncheck
CYCLONEDX   = $(TOOLS)/v1.10.0/cyclonedx-gomod
CADDY       = $(TOOLS)/v2.11.9/caddy
H2SPEC      = $(TOOLS)/v2.2.1+incompatible/h2spec
# Python packages that are tested with. The name has a sum of the requirements, so a change of them makes another one.
VENV        = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/websock-tools/python-$(shell cksum <interop/requirements.txt | cut -d' ' -f1)
build-tool  = GOBIN=$(@D) GOWORK=off CGO_ENABLED=0 go install $(1)@$(notdir $(@D))

# Only what is installed and released is built with the profile of the program: it makes the go command compile
# everything that the program imports once more, which takes tests, vet and linters as long as a first build.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -pgo=off)

# The release that is built: that of the tag, if the commit has one. The time of all its files is the commit's.
VERSION  ?= $(or $(shell git describe --tags --exact-match --match 'v*' 2>/dev/null),v0.1.0-dev)
RELEASED ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
build dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)

PREFIX ?= /usr/local
BINDIR  = $(DESTDIR)$(PREFIX)/bin
SHARE   = $(DESTDIR)$(PREFIX)/share

help:
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the program, its man page and its completions, in bin
	CGO_ENABLED=0 go build -pgo=auto -trimpath -buildvcs=false -ldflags '-s -w -X main.release=$(VERSION)' -o bin/websock ./cmd/websock
	bin/websock help -man >bin/websock.1
	for s in bash fish zsh; do bin/websock completion $$s >bin/websock.$$s || exit; done

install: build ## what build makes, below PREFIX (/usr/local) and in the directory DESTDIR
	install -d $(BINDIR) $(SHARE)/man/man1 $(SHARE)/doc/websock $(SHARE)/bash-completion/completions \
		$(SHARE)/fish/vendor_completions.d $(SHARE)/zsh/site-functions
	install -m 755 bin/websock $(BINDIR)/websock
	install -m 644 bin/websock.1 $(SHARE)/man/man1/websock.1
	install -m 644 bin/websock.bash $(SHARE)/bash-completion/completions/websock
	install -m 644 bin/websock.fish $(SHARE)/fish/vendor_completions.d/websock.fish
	install -m 644 bin/websock.zsh $(SHARE)/zsh/site-functions/_websock
	install -m 644 LICENSE $(SHARE)/doc/websock/LICENSE

uninstall: ## removes what install puts there
	rm -f $(BINDIR)/websock $(SHARE)/man/man1/websock.1 $(SHARE)/bash-completion/completions/websock \
		$(SHARE)/fish/vendor_completions.d/websock.fish $(SHARE)/zsh/site-functions/_websock
	rm -rf $(SHARE)/doc/websock

profile: ## cmd/websock/default.pgo, which tells the compiler what the program does often; takes a minute
	rm -rf $(RECORDED)
	mkdir $(RECORDED)
	go test -C cmd/websock -pgo=off -trimpath -run '^$$' -bench '^BenchmarkProfile$$' -benchtime 1x -timeout 10m \
		-o $(RECORDED)/websock.test -cpuprofile $(RECORDED)/cpu.pprof .
	go tool pprof -proto -output $(RECORDED)/default.pgo $(RECORDED)/cpu.pprof
	mv $(RECORDED)/default.pgo cmd/websock/default.pgo
	rm -r $(RECORDED)

profile: RECORDED := $(or $(TMPDIR),/tmp)/websock-profile

dist: $(CYCLONEDX) ## a release of VERSION, in dist: archives for RELEASED, SBOMs, checksums
	rm -rf dist
	go run ./internal/dist -version '$(VERSION)' -cyclonedx $(CYCLONEDX) $(RELEASED)

reproduce: ## dist once more, in another directory, and compares
	.ci/reproduce $(RELEASED)

test: test-packages test-cluster ## all tests

test-packages:
	go test -timeout 30m $(PACKAGES)

test-cluster:
	go test -timeout 30m $(CLUSTER)

race: race-packages race-cluster ## all tests under the race detector, in random order

# The tests of these packages are about documents, sources and builds.
DOCUMENTS := /internal/(api|delays|dist|exportdata|gen|snippets|tree)$$

race-packages:
	go test -race -shuffle=on -timeout 30m $$(go list $(PACKAGES) | grep -vE '$(DOCUMENTS)')

race-cluster:
	go test -race -shuffle=on -timeout 30m $(CLUSTER)

purego: purego-packages purego-transports ## the packages with kernels, and those that send and receive, without assembly

purego-packages:
	go test -tags purego . ./mask/... ./engine/... ./internal/utf8 ./internal/goroutine ./transport/tls

purego-transports:
	go test -tags purego -run '^TestTransport$$' ./transport/std ./transport/epoll ./transport/netpoll

arm64: ## the packages with kernels, the engine and websock, as linux/arm64 under qemu
	GOARCH=arm64 CGO_ENABLED=0 go test -timeout 30m -exec qemu-aarch64-static ./mask/... ./engine/... ./internal/utf8 ./internal/goroutine ./internal/buffer ./internal/timing
	@# qemu doesn't know the socket option of the first test that is left out, and the others start
	@# themselves again, which the kernel can't do. These tests are slow under qemu, so nothing runs beside them.
	GOARCH=arm64 CGO_ENABLED=0 go test -timeout 30m -exec qemu-aarch64-static -skip '^(TestTheSourcePortIsChosenAtConnect|TestTheCloseFrameIsSentBeforeOnClose|TestAcceptUnderNetHTTPsOwnServer)$$' .

PLATFORMS := linux/amd64 linux/arm64 linux/386 linux/arm darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 windows/386

# The assembly depends on the processor alone, and the program has none, so the builds without it are those
# of the library for one system.
PUREGO_PLATFORMS := linux/amd64 linux/arm64

# The program contains a NATS server, which takes longer to compile than everything else. It is built for the
# platforms of a release, and one with 32 bits.
PROGRAM_PLATFORMS := linux/amd64 linux/arm64 linux/arm darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# With -trimpath, as in dist, which has little more to compile then, and links the program for RELEASED.
cross: ## builds for every platform, with and without assembly
	@set -e; build() { GOOS=$${1%/*} GOARCH=$${1#*/} CGO_ENABLED=0 go build -trimpath $$2; }; \
		for p in $(PLATFORMS); do echo "$$p"; build $$p ./...; done; \
		for p in $(filter-out $(RELEASED),$(PROGRAM_PLATFORMS)); do echo "the program for $$p"; build $$p "-o /dev/null ./cmd/websock"; done; \
		for p in $(PUREGO_PLATFORMS); do echo "$$p without assembly"; build $$p "-tags=purego ./..."; done
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet -trimpath $(PACKAGES)
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go vet -trimpath $(PACKAGES)
	GOOS=freebsd GOARCH=amd64 CGO_ENABLED=0 go vet -trimpath $(PACKAGES)
	@GOOS=js GOARCH=wasm go build . 2>&1 | grep -q websock_does_not_support_js && echo "js/wasm is refused, as it should be"

windows: ## the library's main packages and the program, as windows/amd64 under Wine
	.ci/windows

vet: ## gofmt and go vet in every module
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m; echo "go vet in $$m"; go vet ./...); done

$(TOOLS)/%/staticcheck:
	$(call build-tool,honnef.co/go/tools/cmd/staticcheck)

$(TOOLS)/%/golangci-lint:
	$(call build-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

$(TOOLS)/%/govulncheck:
	$(call build-tool,golang.org/x/vuln/cmd/govulncheck)

$(TOOLS)/%/cyclonedx-gomod:
	$(call build-tool,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)

$(TOOLS)/%/caddy:
	$(call build-tool,github.com/caddyserver/caddy/v2/cmd/caddy)

$(TOOLS)/%/h2spec:
	$(call build-tool,github.com/summerwind/h2spec/cmd/h2spec)

staticcheck: vet $(STATICCHECK) ## gofmt, go vet and staticcheck in every module
	@set -e; for m in $(MODULES); do (cd $$m; echo "staticcheck in $$m"; $(STATICCHECK) ./...); done

lint: staticcheck $(GOLANGCI) ## all of that and .golangci.yml; builds its linter once, in some minutes
	@if git grep -nE '^(<{7}|>{7}) '; then echo 'these are left of a merge' >&2; false; fi
	@set -e; for m in $(MODULES); do (cd $$m; echo "golangci-lint in $$m"; $(GOLANGCI) run); done

vuln: $(GOVULNCHECK) ## known vulnerabilities; needs the database on the network
	$(GOVULNCHECK) $(PACKAGES) ./fanout/prom/... ./fanout/cluster/... ./fanout/cluster/prom/...

tidy: ## go.mod and go.sum of every module; until the root module is tagged, they get it from here
	@set -e; for m in $(MODULES); do (cd $$m; echo "go mod tidy in $$m"; \
		for p in "" /fanout/cluster /transport/h3; do go mod edit -replace=github.com/seed004e8d11/websock$$p=$(CURDIR)$$p; done; \
		GOWORK=off go mod tidy; \
		for p in "" /fanout/cluster /transport/h3; do go mod edit -dropreplace=github.com/seed004e8d11/websock$$p; done); done

cover: ## fails if engine, mask or internal/handshake are covered to less than 95 %
	.ci/cover

fuzz: ## every fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

# Raw figures, a file for each part: memory, loopback, http2, servers. `make bench ONLY=servers` measures one of them,
# and ONLY=charts none: the document is written from the files that are there.
RAW ?= $(or $(TMPDIR),/tmp)/websock-bench
ONLY ?=

bench: ## everything, beside others, in a quarter of an hour; writes bench/RESULTS.md and its charts
	cd bench && go run ./results -raw $(RAW) -only '$(ONLY)'

bench-quick: ## a part of it, in three minutes; writes nothing
	cd bench && go run ./results -quick -raw $(RAW)-quick -only '$(ONLY)'
	test ! -e $(RAW)-quick/memory.txt || go -C bench tool benchstat -filter .unit:ns/op -table .name -row /size,/by -col .file $(RAW)-quick/memory.txt

others: ## clients and servers in other languages, for bench; says which tools are missing
	$(MAKE) -C bench/others

loopback: ## transports and others over loopback, beside a loop written by hand
	cd bench && go run ./compare

guard: ## instructions, allocations and calls of a message, beside what they were
	cd bench && go test -count=1 ./guard

api: ## docs/api: what the public packages export, a line for each name
	go run ./internal/api . fanout/prom fanout/cluster fanout/cluster/prom transport/h3

generate: ## the assembly for amd64
	cd internal/gen && go run ./mask -pkg mask -out ../../mask/apply_amd64.s -stubs ../../mask/apply_amd64.go
	cd internal/gen && go run ./utf8 -pkg utf8 -out ../utf8/valid_amd64.s -stubs ../utf8/valid_amd64.go
	cd internal/gen && go run ./unmask -pkg utf8 -out ../utf8/unmask_amd64.s -stubs ../utf8/unmask_amd64.go

# The jobs others and interop of .ci/run may both need it.
$(VENV)/installed:
	mkdir -p $(dir $(VENV))
	flock $(dir $(VENV)) sh -ec '\
		if test -e $@; then exit; fi; \
		rm -rf $(@D); \
		/usr/bin/python3 -m venv $(@D); \
		$(@D)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r interop/requirements.txt; \
		touch $@'

BUN = bench/others/ws/node_modules/.package-lock.json

$(BUN): bench/others/ws/package-lock.json
	$(MAKE) -C bench/others ws/node_modules/.package-lock.json

peers: $(CADDY) $(H2SPEC) $(VENV)/installed ## what is built for interop; says which tools are missing
	flock interop/compiled $(MAKE) -C interop/compiled

interop: peers $(BUN) ## against programs of others; interop/README.md says what to install
	cd interop && VIRTUAL_ENV="$(VENV)" PATH="$(dir $(CADDY)):$(dir $(H2SPEC)):$$PATH" go test -count=1 -timeout 30m ./...

coverage: ## statements covered by the tests of each package; demands nothing
	go test -cover ./engine ./mask ./internal/handshake ./transport/... .

ci: ## what has to pass before a change lands
	.ci/run
