# Commonseal. Needs Go and make; `check` also needs a C compiler (race detector).
FUZZTIME ?= 30s
STATICCHECK = go tool -modfile=tools/go.mod staticcheck
BUF         = go tool -modfile=tools/buf/go.mod buf

.PHONY: build demo test check proto bench fuzz

build:
	CGO_ENABLED=0 go build -trimpath -o bin/commonseal ./cmd/commonseal

demo: build # a federation of separate processes, three companies, on real rows
	bin/commonseal demo

test: # everything, and the fuzz corpora as plain tests
	CGO_ENABLED=0 go test -timeout 60m ./...
	CGO_ENABLED=0 go test -short -tags invariants ./ledger # no credit is made or lost, in every block

check: # form, vet, staticcheck, .proto files and what is generated from them, races
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "check: not formatted; run gofmt -w on these"; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...
	$(BUF) lint proto
	@rm -rf bin/generated && $(BUF) generate --template proto/buf.gen.yaml -o bin/generated
	@diff -r -x '*.proto' bin/generated/proto/commonseal proto/commonseal || { echo "check: generated code is not current; run make proto"; exit 1; }
	@command -v "$$(go env CC)" >/dev/null || { echo "check: the race detector needs a C compiler; install gcc or set CC"; exit 1; }
	CGO_ENABLED=1 go test -race -short -timeout 60m ./...

proto: # Go code from the .proto files
	$(BUF) generate --template proto/buf.gen.yaml

bench:
	CGO_ENABLED=0 go test -run '^$$' -bench . -timeout 60m ./...

fuzz: # every fuzz target for FUZZTIME
	@set -e; grep -rHo '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | while IFS=: read -r file fn; do \
	  echo "== $$file $${fn#func }"; \
	  go test -run '^$$' -fuzz "^$${fn#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
	done
