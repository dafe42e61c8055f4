# Everything a checkout needs. Python 3.11+, make and a package index are enough.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-browser check format bench lock openapi

help: ## show this list
	@grep -hE '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv: requirements-dev.lock pyproject.toml ## the virtual environment, from the hashed lock
	@echo "Installing what requirements-dev.lock names into .venv; the first time that takes a minute or two ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/^    # via/p' requirements-dev.lock > .venv/uv.lock
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.lock
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch .venv

demo: .venv ## start a real server, run apps both ways, search files, print what arrives
	$(BIN)/llmstack-api demo

serve: .venv ## serve on http://127.0.0.1:3000
	$(BIN)/llmstack-api serve

test: .venv ## all tests but the browser's, on SQLite and PostgreSQL
	$(BIN)/pytest -n auto

test-browser: .venv ## the docs page in headless Chromium
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; fi; }
	@command -v chromium >/dev/null || { echo "make test-browser needs Chromium: install Debian's package 'chromium'." >&2; exit 1; }
	$(BIN)/pytest -m browser tests/browser

check: .venv ## the gate: format, lint, types, imports, tests with coverage
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(MAKE) test PYTEST_ADDOPTS="--cov --cov-report=term:skip-covered $(PYTEST_ADDOPTS)"

format: .venv ## format and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv ## measure speed, memory and, with COLLECTION="FOLDER ...", how good searches are
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.leaving
	$(BIN)/python -m benchmarks.retrieval
	$(BIN)/python -m benchmarks.text_chat
	@test -z "$(COLLECTION)" || $(BIN)/python -m benchmarks.quality $(COLLECTION)

lock: .venv ## resolve both lock files again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

openapi: .venv ## write tests/openapi.json and docs/problems.md again
	UPDATE_SNAPSHOTS=1 $(BIN)/pytest -q tests/web/test_openapi.py tests/web/test_explorer.py
