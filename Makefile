# Needs git, make and Python 3.11 or newer; everything else goes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
TESTS ?= tests

.PHONY: help run demo serve test slow check format migration docs wheel clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

##@ use
run: .venv/.run ## Install, migrate and start the demo; prints one URL with its token
	@$(BIN)/quarterdeck migrate
	@exec $(BIN)/quarterdeck demo

serve: .venv/.run ## Install and serve the repository given as REPOSITORY=path
	@exec $(BIN)/quarterdeck serve $(if $(REPOSITORY),--repository "$(REPOSITORY)")

##@ work on it
test: .venv/.test ## Install the test extras and run the quick tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not live" $(TESTS)

slow: .venv/.test ## Run the slow tests: browser, PostgreSQL, wheel, repetitions
	@$(BIN)/python -m pytest -m "slow and not live" $(TESTS)

check: .venv/.test lint test ## All that a commit must pass: lint, types, contracts, quick tests

.PHONY: lint
lint: .venv/.test ## Lint, format, types, contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: .venv/.test ## Mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migration: .venv/.test ## Write the next migration from the models: make migration NAME=slug
	@test -n "$(NAME)" || { echo "make migration NAME=slug"; exit 1; }
	@$(BIN)/alembic revision --autogenerate --message "$(NAME)" \
		--rev-id "$$(printf '%04d' $$(($$(ls alembic/versions/[0-9]*.py | wc -l) + 1)))"

docs: .venv/.test ## Write the generated pages (docs/settings.md, docs/cli.md, docs/llms.txt)
	@$(BIN)/python -m docs.generate

wheel: .venv/.test ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --outdir dist .

clean: ## Remove what make made; your state in .quarterdeck stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# A stamp each: a second run installs nothing.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Quarterdeck needs Python 3.11 or newer; say which: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Install venv (Debian: apt install python3-venv)."; exit 1; }

.venv/.run: pyproject.toml | .venv/bin/python
	@echo "Installing (the agents' own programs take about 730 MB) ..."
	@$(PIP) --editable '.[clis]'
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[test]'
	@touch $@ .venv/.run
