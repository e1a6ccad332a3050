# `make` lists the targets. PYTHON may name another interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test setup check format accuracy bench load chaos fuzz system clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## Offers for an auto financier's customers, then serve (ONCE=1: end there; DATA=retail: a grocer)
	@$(BIN)/oferta demo $(if $(DATA),--data $(DATA)) $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: $(VENV)/.setup ## The whole suite
	@$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

setup: $(VENV)/.setup ## .venv with every extra

check: $(VENV)/.setup ## Format, lint, types, import contracts, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/architecture

format: $(VENV)/.setup ## Rewrite the code in the one format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

accuracy: $(VENV)/.setup ## The accuracy table: a study per published protocol (DATA_DIR= or OFERTA_BENCH_DATA)
	@$(if $(DATA_DIR),OFERTA_BENCH_DATA=$(abspath $(DATA_DIR)) )$(BIN)/python -m oferta_experiments.accuracy $(if $(ONLY),--only $(ONLY))

bench: $(VENV)/.setup ## Speed as ratios to bare libraries, in one run
	@$(BIN)/python -m oferta_experiments.bench

load: $(VENV)/.setup ## Requests a second and latencies at 1 to 128 clients, as ratios; writes docs/load.md
	@$(BIN)/python -m oferta_experiments.load --out docs/load.md $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS))

chaos: $(VENV)/.setup ## The long form of the chaos tests, 40 minutes; writes docs/chaos.md (ROUNDS=150, EVENTS=100000, ...)
	@OFERTA_CHAOS_TABLE=docs/chaos.md \
	  OFERTA_CHAOS_ROUNDS=$(or $(ROUNDS),150) OFERTA_CHAOS_DECISIONS=$(or $(DECISIONS),100000) \
	  OFERTA_CHAOS_EVENTS=$(or $(EVENTS),100000) OFERTA_CHAOS_KILLS=$(or $(KILLS),100) \
	  OFERTA_CHAOS_PRIMARIES=$(or $(PRIMARIES),6) OFERTA_CHAOS_ERASURES=$(or $(ERASURES),20) \
	  OFERTA_CHAOS_ERASURE_KILLS=5 OFERTA_CHAOS_ERASURE_STEPS=1 OFERTA_CHAOS_CASES=$(or $(CASES),5000) \
	  OFERTA_CHAOS_SECONDS=$(or $(SECONDS),30) OFERTA_CHAOS_STOPS=$(or $(STOPS),50) \
	  OFERTA_CHAOS_WORKERS=$(or $(WORKERS),20) OFERTA_CHAOS_EXAMPLES=$(or $(EXAMPLES),100) \
	  $(BIN)/pytest -q -m chaos -s

fuzz: $(VENV)/.setup ## Every decoder and parser under a fuzzer (SECONDS=60 each; CPython 3.11)
	@$(PIP) -e '.[fuzz]'
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ONLY)

system: ## Optional tools (Redis 7, wrk, browser) by the system's package manager
	@if command -v apt-get >/dev/null; then \
	  if command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null && command -v wrk >/dev/null && command -v chromium >/dev/null; then \
	    echo "system tools: all there"; \
	  else \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server redis-tools wrk chromium >/dev/null; \
	  fi; \
	else echo "no apt-get here: install redis-server, wrk and chromium yourself if you want the tests that need them"; fi

clean: ## Remove everything that was made here
	rm -rf $(VENV) .oferta .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "oferta needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(PIP) -e '.[demo]'
	@$(MAKE) --no-print-directory compiled
	@touch $@

$(VENV)/.setup: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(PIP) -e '.[demo,dev]'
	@$(MAKE) --no-print-directory compiled
	@touch $@ $(VENV)/.demo

.PHONY: compiled
compiled: # on install: each by itself, where a compiler and Python's headers are
	@for extra in hybrid embedded; do \
	  $(PIP) -e ".[$$extra]" >$(VENV)/$$extra.log 2>&1 || \
	    echo "left out: the extra '$$extra' could not be compiled ($(VENV)/$$extra.log says why); the rest works"; \
	done
