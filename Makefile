# make build   bin/jt1078_server bin/pc_server bin/web_server bin/vehicle
# make test    everything, with -race; installs the Debian packages it needs where it may
# make lint    golangci-lint, pinned
# make fmt     gofmt
# make proto   the relay's generated code, from proto/relay/v1/relay.proto

SHELL := bash
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X multi_process_server/pkg/service.version=$(VERSION)
MODULES := . services/jt1078_server services/pc_server services/web_server tools
PACKAGES := ./pkg/... ./proto/... ./services/jt1078_server/... ./services/pc_server/... ./services/web_server/... ./tools/...
FUZZTIME ?= 3s
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: build test unit e2e fuzz modules check-fmt lint fmt proto deps clean

build:
	@mkdir -p bin
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./services/jt1078_server ./services/pc_server ./services/web_server ./tools/vehicle

test: deps check-fmt modules unit fuzz e2e

# What the tests run beside the project's own code: real servers, players and judges.
deps:
	@tools/test-deps.sh

check-fmt:
	@changed=$$(gofmt -l pkg proto services tools); if [ -n "$$changed" ]; then echo "gofmt would change:"; echo "$$changed"; echo "run: make fmt"; exit 1; fi
	go vet $(PACKAGES)

# Each module builds by itself too, and its go.mod is tidy enough for it.
modules:
	@for module in $(MODULES); do echo "building $$module by itself"; (cd $$module && GOWORK=off go build ./...) || exit 1; done

unit:
	MPS_REQUIRE_TOOLS=1 go test -race -timeout 15m $$(go list $(PACKAGES) | grep -v /tools/e2e)
	MPS_REQUIRE_TOOLS=1 go test -race -tags voaac ./pkg/audio

# A smoke: seconds on each target. For real work: make fuzz FUZZTIME=10m
fuzz:
	@tools/fuzz.sh $(FUZZTIME)

e2e:
	MPS_REQUIRE_TOOLS=1 go test -race -timeout 25m -count 1 ./tools/e2e/...

lint:
	@for module in $(MODULES); do echo "lint $$module"; (cd $$module && go run $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

fmt:
	gofmt -w pkg proto services tools

proto:
	GOBIN=$(CURDIR)/bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
	GOBIN=$(CURDIR)/bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
	PATH=$(CURDIR)/bin:$$PATH protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative proto/relay/v1/relay.proto

clean:
	rm -rf bin
