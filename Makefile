# A bare `make` shows what there is. Nothing here needs an activated environment.

BIN := .venv/bin
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SLOW := e2e or faults or browser or containers
# $(call need,FILE): stop where a target's file is not there.
need = test -e $(1) || { echo "make $@: there is no $(1) yet" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help install install-test format lint types test integration faults browser e2e coverage \
	bench check demo up down logs clean soak bars faults-table containers audit settings mutants fuzz

help: ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

install: .venv/installed ## Make .venv and install habus into it
install-test: .venv/installed-test ## The same with the tools that test it

.venv/python:
	@test -n "$(PYTHON)" || { echo "habus needs Python 3.11 or newer; set PYTHON=/path/to/it" >&2; exit 1; }
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: pyproject.toml | .venv/python
	@echo "installing habus into .venv (about a minute the first time)"
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/installed-test: pyproject.toml | .venv/python
	@echo "installing habus and its test tools into .venv (about a minute the first time)"
	@$(PIP) --editable '.[demo,test]'
	@touch .venv/installed $@

format: install-test ## Rewrite the code in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: install-test ## Style, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install-test ## mypy, strict
	$(BIN)/mypy

test: lint types ## Lint, types, and every test that needs no server installed by hand
	$(BIN)/pytest -rs -m "not ($(SLOW))"

integration: install-test ## One adapter against the real thing
	$(BIN)/pytest -rs -m integration

faults: install-test ## Processes killed, networks cut, disks full; FAULT_SEED=n repeats a run
	$(BIN)/pytest -rs -m faults tests/faults

faults-table: install-test ## The README's table of faults, from the last run of `make faults`
	@$(call need,.cache/faults.json)
	$(BIN)/python -m tests.readme_faults README.md .cache/faults.json

bars: install-test ## Redis away for 5 minutes, InfluxDB for 10, at 200 events/s
	$(BIN)/python -m tests.faults.bars redis
	$(BIN)/python -m tests.faults.bars influxdb

browser: install-test ## The dashboard in a real Chromium
	$(BIN)/pytest -rs -m browser

e2e: install-test ## The README's promises against a real Home Assistant
	$(BIN)/pytest -rs -m e2e

containers: install-test ## The image and the compose file, built and started with podman; needs root
	@$(BIN)/python -c 'import podman_compose' 2>/dev/null || $(PIP) podman-compose
	$(BIN)/python tests/containers/run.py

coverage: install-test ## Every test but the containers; 95 % of branches, 100 % in pure files
	$(BIN)/coverage erase
	$(BIN)/pytest -rs --cov --cov-report= -m "not containers"
	$(BIN)/coverage report
	$(BIN)/coverage json --quiet -o .coverage.json
	$(BIN)/python tests/coverage_bars.py .coverage.json

check: export HABUS_REQUIRE_SERVERS = 1
check: lint types coverage ## What CI runs: everything, nothing skipped

bench: install-test ## How fast it is on this machine
	@$(call need,tests/bench/__main__.py)
	$(BIN)/python -m tests.bench

mutants: install-test ## Break the code on purpose, one way at a time; each must turn a test red
	$(BIN)/python -m tests.mutants

fuzz: install-test ## Over 100,000 bad inputs at every door; SEED=n repeats a run, COUNT=n is how many
	$(BIN)/python -m tests.fuzz

soak: install-test ## Faults by chance, until you stop it; SEED=n repeats a run, SECONDS=n ends it
	@$(call need,tests/faults/soak.py)
	$(BIN)/python -m tests.faults.soak

audit: install-test ## Known vulnerabilities of what habus depends on; says so when nobody can tell
	@$(BIN)/python -c 'import pip_audit' 2>/dev/null || $(PIP) pip-audit
	@$(BIN)/python -m tests.audit

settings: install-test ## The README's table of settings, made anew
	$(BIN)/python -m tests.readme_settings README.md

demo: install ## A simulated home, all workers, no server needed; DEMO_SECONDS=20 stops by itself
	@$(call need,admin/cli)
	@exec $(BIN)/habus demo

up: ## Build and start the containers; needs .env, see .env.example
	@$(call need,.env)
	docker compose up --detach --build

down: ## Stop the containers; what they stored stays
	@$(call need,compose.yaml)
	docker compose down

logs: ## Follow the containers' logs
	@$(call need,compose.yaml)
	docker compose logs --follow --tail 100

clean: ## Remove .venv and caches; what habus stored stays
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
		.coverage .coverage.* dist
	find ingest enrich store admin common tests -name __pycache__ -type d -prune -exec rm -rf {} +
