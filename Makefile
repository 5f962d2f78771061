# Each target makes .venv first, from requirements.lock, when there is none or when what it is made of has changed.
#   make run [ARGS=--once]   two MEC domains and the story between them
#   make lab [ARGS=3]        the same order under each boundary option or through a broker, and a page of it: lab.html
#   make test [ARGS=...]     the whole test suite, in parallel and in random order (ARGS goes to pytest)
#   make test-openstack [ARGS=...]   the VIM driver for OpenStack, against a control plane from Debian's packages that it starts
#   make check               style, types, import contracts, YANG, docs/conformance.md
#   make fuzz [ARGS='--cases 100000 --seed 1 --seconds 3600']   random models and data, our verdicts beside libyang's
#   make fuzz ARGS='--target protocol'    damaged messages: framing, xml, json, uri, xpath, subtree, or all of them in turn
#   make bench [ARGS='--sizes 100,1000000 --write docs/performance.md']   what operations cost against size (docs/performance.md)
#   make coverage-yang [ARGS='-k federation']   which nodes, constraints and operations of the models the tests touch
#   make bindings | lock | clean

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: run lab test test-openstack check fuzz bench coverage-yang bindings lock clean

# Byte code is kept, whatever the environment says: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
ARGS   ?=
# Half of what tests take is waiting, for partners and for processes: more of them run than there are cores.
TESTERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))
BIN    := .venv/bin
READY  := .venv/.ready
CLOUD  := .venv/.openstack
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check
SAY     = @printf '\033[1m· %s\033[0m\n'

run: bindings
	@$(BIN)/python -m nms.cli run $(ARGS)

lab: bindings
	@$(BIN)/python -m nms.cli lab $(or $(ARGS),--all) --once --report lab.html

test: bindings
	$(SAY) 'tests'
	@$(BIN)/python -m pytest -n $(TESTERS) --dist=worksteal $(ARGS)

test-openstack: bindings $(CLOUD)
	$(SAY) 'tests against an OpenStack control plane'
	@$(BIN)/python -m pytest tests/openstack $(ARGS)

check: bindings
	$(SAY) 'style'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo 'not formatted: run `$(BIN)/ruff format .`' >&2; exit 1; }
	$(SAY) 'types'
	@$(BIN)/mypy --no-error-summary
	$(SAY) 'import contracts'
	@$(BIN)/lint-imports >/dev/null || { $(BIN)/lint-imports; exit 1; }
	$(SAY) 'YANG modules'
	@$(BIN)/python -m tools.check_yang
	$(SAY) 'docs/conformance.md'
	@$(BIN)/python -m tools.conformance --check

fuzz: $(READY)
	$(SAY) 'random models and data'
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: bindings
	$(SAY) 'measurements'
	@$(BIN)/python -m tests.bench $(ARGS)

coverage-yang: bindings
	$(SAY) 'tests, and what of the models they touch'
	@$(BIN)/python -m pytest -q -n $(TESTERS) --dist=worksteal -p tools.coverage.plugin --yang-coverage .yang-coverage.json $(ARGS)
	@$(BIN)/python -m tools.coverage.report .yang-coverage.json

# The compiler compares the models' digest with the one stamped into bindings/gen, and does nothing when they agree.
bindings: $(READY)
	@$(BIN)/python -m tools.compile_yang

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo '$(PYTHON) is missing or older than 3.11: name another one, as in `make PYTHON=python3.12 ...`' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '$(PYTHON) cannot make virtual environments: on Debian, `apt-get install python3-venv`' >&2; exit 1; }
	$(SAY) 'virtual environment in .venv (once; needs the network)'
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes --no-deps --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What the extra `openstack` adds.
$(CLOUD): $(READY) requirements-openstack.lock
	$(SAY) 'openstacksdk'
	@$(PIP) install --require-hashes --no-deps --requirement requirements-openstack.lock
	@touch $@

# Versions and hashes only: where packages come from is the business of each machine's own pip configuration.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml

lock: $(READY)
	$(SAY) 'requirements.lock, and requirements-openstack.lock: what that extra adds'
	@$(PIP) install 'uv>=0.9,<1'
	@$(LOCK) --upgrade --extra test --output-file requirements.lock >/dev/null
	@$(LOCK) --upgrade --extra openstack --constraint requirements.lock --output-file requirements-openstack.lock \
	  $$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' requirements.lock) >/dev/null

clean:
	@rm -rf .venv build dist run lab.html bindings/gen *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache .yang-coverage.json
	@find nms restconf bindings tools tests -name __pycache__ -type d -prune -exec rm -rf {} +
