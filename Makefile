# Two of these are all a newcomer needs: `make demo` and `make test`. Each sets everything up by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
WORKERS ?= 2
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

services: ## The servers that the connectors' tests use, as far as pip, npm and (as root) apt have them
	PYTHON=$(PYTHON) tests/services.sh

demo: $(READY) ## The shop, end to end, on real data
	$(BIN)/headwater demo shop

test: $(READY) ## Every test (K=pattern to choose)
	$(BIN)/python -m pytest -n $(WORKERS) -q $(if $(K),-k "$(K)")

check: lint types arch docs ## All that can be said without running it

lint: $(READY) ## Style, without changing anything
	$(BIN)/ruff check
	$(BIN)/ruff format --check

fmt: $(READY) ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## mypy --strict
	$(BIN)/mypy

arch: $(READY) ## Who may import whom
	$(BIN)/lint-imports --no-cache

docs: $(READY) ## Docs, registry and public names are true
	$(BIN)/python -m pytest -q tests/test_docs.py

bench: $(READY) ## Speed and memory, side by side with the peer, in one run
	$(BIN)/python -m bench

bench-poison: $(READY) ## Attacks on what a model learns from, and what the gates make of them
	$(BIN)/python -m bench.poison

clean: ## Remove what this Makefile made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headwater needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

.PHONY: help services demo test check lint fmt types arch docs bench bench-poison clean
