# The one-word commands of this repository. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
# `true`, because make 4.3 drops what a shell said that ended with 127, as it does when the last name is no program.
PYTHON ?= $(firstword $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python; done; true))
MEMBERS := fabric chaincode operator devnet tools
LOCKS := bootstrap runtime dev
ARGS ?=

# Somebody else's cluster needs kubectl, and no programs of ours, hence no Go.
CLUSTER := $(or $(firstword $(foreach kind,existing kind,\
	$(if $(or $(findstring cluster=$(kind),$(ARGS)),$(findstring cluster $(kind),$(ARGS))),$(kind)))),local)
OWN_CLUSTER := $(filter local,$(CLUSTER))

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up ---------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: machine $(VENV)/.complete programs ## Make the environment and build the test programs, what is missing alone
	@echo "set up: everything needed is there"

.PHONY: machine
machine:
	@tools/machine.sh "$(PYTHON)" $(CLUSTER)

$(VENV)/.complete: requirements/dev.txt requirements/bootstrap.txt $(MEMBERS:=/pyproject.toml)
	@echo "making the Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=-e ./%)
	@touch $@

.PHONY: programs
programs: $(VENV)/.complete
	$(if $(OWN_CLUSTER),@$(BIN)/python -m opssc_tools.toolchain.build)

.PHONY: demo
demo: setup ## Three organizations commit a chaincode together; ARGS="--keep --orgs 4 --backend fabric --cluster=existing"
	@$(BIN)/python -m opssc_tools.demo $(ARGS)

.PHONY: bench
bench: setup ## Measure the main job by phase, with memory; ARGS as for demo
	@$(BIN)/python -m opssc_tools.bench $(ARGS)

# --- checks ---------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup lint types layers test-unit test-contract test-vectors test-component test-conformance test-e2e ## Every check and every suite on embedded defaults
	@echo "all checks and suites passed"

.PHONY: lint
lint: $(VENV)/.complete ## Look for what ruff knows
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: fmt
fmt: $(VENV)/.complete ## Format, and mend what can be mended safely
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: types
types: $(VENV)/.complete ## Check types, strictly
	$(BIN)/mypy

.PHONY: layers
layers: $(VENV)/.complete ## Check who may import whom
	$(BIN)/lint-imports

.PHONY: test-unit
test-unit: $(VENV)/.complete ## The pure cores
	$(BIN)/pytest tests/unit -m "not vectors" $(ARGS)

.PHONY: test-contract
test-contract: $(VENV)/.complete ## CRDs, models and samples say the same
	$(BIN)/pytest tests/contract -m "not vectors" $(ARGS)

.PHONY: test-vectors
test-vectors: $(VENV)/.complete ## Data recorded from real Fabric; OPSSC_VECTORS names its folder
	$(BIN)/pytest tests -m vectors $(ARGS)

.PHONY: test-component
test-component: setup ## Parts against a real Kubernetes API server
	$(BIN)/pytest tests/component -m "not vectors" $(ARGS)

.PHONY: test-conformance
test-conformance: $(VENV)/.complete ## Admin flows on the embedded network, and on real Fabric when FABRIC_HOME is set
	$(BIN)/pytest tests/conformance -m "not vectors" $(ARGS)

.PHONY: test-e2e
test-e2e: setup ## Scenarios from manifests to committed chaincode
	$(BIN)/pytest tests/e2e -m "not vectors" $(ARGS)

.PHONY: test-fabric
test-fabric: setup ## Conformance and scenarios on official Fabric binaries; needs FABRIC_HOME
	@test -x "$${FABRIC_HOME:-}/bin/peer" -a -x "$${FABRIC_HOME:-}/bin/orderer" -a -d "$${FABRIC_HOME:-}/config" || { \
		echo "FABRIC_HOME must name a folder with bin/peer, bin/orderer and config/, as in Fabric's release archive;" \
		"it is '$${FABRIC_HOME:-}'" >&2; exit 2; }
	$(BIN)/pytest tests/conformance tests/e2e -m fabric $(ARGS)

.PHONY: test-node
test-node: setup ## Chaincode servers as pods of a real Kubernetes node; needs root, ARGS=--install gets what is missing
	@$(BIN)/python -m opssc_tools.node $(filter --install,$(ARGS))
	$(BIN)/pytest tests/node -m "not vectors" $(filter-out --install,$(ARGS))

# --- upkeep ---------------------------------------------------------------------------------------------------------

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links $(foreach name,fabric-admin opssc-chaincode opssc-operator fabric-devnet opssc-tools,\
	--no-emit-package $(name)) --custom-compile-command "make lock"

.PHONY: lock
lock: $(VENV)/.complete ## Write the hashed requirements again; ARGS=--upgrade for newer versions
	$(COMPILE) $(ARGS) requirements/dev.in -o requirements/dev.txt
	for name in $(filter-out dev,$(LOCKS)); do \
		$(COMPILE) -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt || exit 1; done

.PHONY: typings
typings: $(VENV)/.complete ## Write the type stubs of Fabric's messages again
	$(BIN)/python -m opssc_tools.typings typings

.PHONY: reference
reference: $(VENV)/.complete ## Write the tables of docs/api.md and docs/reference again
	$(BIN)/python -m opssc_tools.reference
	$(BIN)/python -m opssc_tools.library_reference

.PHONY: clean
clean: ## Remove everything made inside the tree; the built programs stay in their cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .devnet .demo .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
