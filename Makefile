# Breezeway: what a developer runs. `make help` lists the targets.
# Each target sets up what it needs in a virtual environment of its own; nothing else is touched.

PYTHON ?= python3
VENV ?= .venv
PROCESSES ?= 2
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help serve test test-all fuzz differential lint bench attack clean

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# One stamp for each set of packages, made anew when pyproject.toml changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,once]'
	@touch $@ $(VENV)/.core

# Its extra needs a wheel for this Python; without it, fuzzing goes on without coverage.
$(VENV)/.fuzz: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]' || echo 'atheris does not install here.'
	@touch $@

# The types of the libraries that extras have come with these.
$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	@touch $@

serve: $(VENV)/.core ## Serve the demo on http://127.0.0.1:8000
	$(BIN)/breezeway demo

test: $(VENV)/.test ## Run all tests, in PROCESSES=2; 0 for this one alone
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile

test-all: ## Run all tests on every CPython from 3.11 on that is found
	@PYTHON='$(PYTHON)' sh tests/run_all.sh

fuzz: $(VENV)/.fuzz ## Fuzz the protocol for SECONDS=600
	$(BIN)/python -m tests.fuzz $(or $(SECONDS),600)

differential: $(VENV)/.test ## Compare with other parsers, and behind nginx, HAProxy and Envoy (root installs them)
	$(BIN)/python -m tests.differential

lint: $(VENV)/.lint ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: ## Compare with other servers (needs root or wrk and libev-dev installed)
	$(PYTHON) bench/run.py

attack: $(VENV)/.core ## Attack a server and see what the innocent feel (needs wrk, openssl, slowhttptest)
	$(BIN)/python bench/attack

clean: ## Remove everything that the other targets made
	rm -rf .venv .venv-* bench/.env bench/.env-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
