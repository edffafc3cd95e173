# The one task runner. `make rehearsal` and `make test` do all the set-up they need on a fresh machine.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
PYTHON ?= python3
TOOLS := .tools
UV := $(TOOLS)/bin/uv
RUN := $(UV) run --frozen --no-sync
PYTEST = $(RUN) pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export UV_PYTHON_DOWNLOADS := never
# Where it is set, as in many images, each of the dozens of processes of a run would compile Prefect anew: 3 s each.
export PYTHONDONTWRITEBYTECODE :=
CLUSTERS ?= 1
OLM ?= 0.46.0
WORKERS ?= 2
OSOK_FLEET_HOME ?= $(CURDIR)

help:  ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version); set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: $(UV) pyproject.toml uv.lock
	$(UV) sync --frozen --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

setup: .venv/.synced  ## Install uv and the locked dependencies into this folder

programs: setup  ## Build every program that the tests run (cached outside the checkout)
	$(RUN) python -m deployments.rehearsal.programs --olm 0.20.0 kubectl metrics-server cfssl pushgateway

rehearsal: setup  ## Install the operator on an embedded control plane through Prefect (KEEP=1, CLUSTERS=N, OLM=0.20.0, AUTHORITY=OCI)
	$(RUN) python -m deployments.rehearsal --clusters $(CLUSTERS) --olm $(OLM) $(if $(AUTHORITY),--authority $(AUTHORITY)) $(if $(KEEP),--keep)

test: programs  ## The tests, in WORKERS=2 processes; builds the control plane's programs first (COVERAGE=1)
	$(PYTEST) -m "not long" $(if $(COVERAGE),--cov --cov-report=term:skip-covered) $(ARGS)

test-long: programs  ## The long tests: runs of workers, in browsers and killed; every answer, every change, other bundles
	$(PYTEST) -m long $(ARGS)

test-core: setup  ## The pure tests, in seconds
	$(RUN) pytest tests/core $(ARGS)

check: setup  ## Formatting, lint, types and import contracts
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) lint-imports

deploy: setup  ## Create work pool, block types and deployments on the server of PREFECT_API_URL
	@test -n "$$PREFECT_API_URL" || { echo "Set PREFECT_API_URL to your Prefect server, for example http://127.0.0.1:4200/api"; exit 1; }
	$(RUN) prefect work-pool inspect osok-fleet >/dev/null 2>&1 || $(RUN) prefect work-pool create osok-fleet --type process
	$(RUN) prefect block register --module blocks.kubernetes_cluster
	$(RUN) prefect block register --module blocks.container_registry
	$(RUN) prefect block register --module blocks.certificate_authority
	$(RUN) prefect block register --module blocks.oci_tenancy
	$(RUN) prefect block register --module blocks.cluster_fleet
	OSOK_FLEET_HOME="$(OSOK_FLEET_HOME)" $(RUN) prefect --no-prompt deploy --all

automations: setup  ## Install the automations on the server of PREFECT_API_URL (NOTIFY=slack-webhook/ops)
	$(RUN) python -m deployments.automations $(if $(NOTIFY),--notify $(NOTIFY)) $(ARGS)

format: setup  ## Format and fix what can be fixed safely
	$(RUN) ruff format
	$(RUN) ruff check --fix

clean:  ## Remove what the targets made in this folder
	rm -rf .venv $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage*

.PHONY: help setup programs rehearsal test test-long test-core check deploy automations format clean
