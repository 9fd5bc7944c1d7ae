# Needs make and Python 3.10 or later. PYTHON=python3.13 chooses another interpreter.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 3
ARGS ?=

BIN := $(VENV)/bin
DEMO := .demo/venv
DEMO_REQUIREMENTS := $(wildcard example_project/requirements.txt)
SOURCES := $(shell find seedance_celery -type f -not -name '*.pyc')
# An editable package is imported from here; the demo's is installed, as a user's would be.
export PYTHONPATH :=

.PHONY: help test test-all chromium lint format screenshots demo live run bench reference docs dist clean

help:
	@echo 'make test      the core suite (needs nothing; uses Redis, RabbitMQ, PostgreSQL, MariaDB)'
	@echo 'make test-all  every broker, pool and database, then tox'
	@echo 'make chromium  the system packages of the browser tests (Debian, as root)'
	@echo 'make lint      ruff, mypy, the contract of the rooms, migrations'
	@echo 'make format    let ruff format and fix'
	@echo 'make demo      three videos through a simulator (LIVE=1: one from the real API)'
	@echo 'make live      buy one short video and report what the real API says (asks first)'
	@echo 'make run       the example project with web server, worker and simulator'
	@echo 'make bench     the benchmarks'
	@echo 'make docs      the documentation'
	@echo 'make reference what pages of the reference take from the code, anew'
	@echo 'make dist      the wheel and the sdist, in dist/'
	@echo 'make screenshots  the pictures of the documentation'
	@echo 'make clean     remove what the others made'

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope $(ARGS)

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m 'full or not full' $(ARGS)
	$(BIN)/python -m tox run

chromium:
	apt-get update
	apt-get install --yes --no-install-recommends chromium fonts-dejavu-core

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m django makemigrations --check --dry-run --settings tests.project.settings

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: $(DEMO)/.installed
	$(DEMO)/bin/python example_project/demo.py $(if $(LIVE),--live) $(if $(YES),--yes)

live: $(VENV)/.dev
	$(BIN)/python -m seedance_celery.acceptance --keep tests/contract/live $(if $(YES),--yes) $(ARGS)

run: $(DEMO)/.installed
	$(DEMO)/bin/python example_project/run.py $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(VENV)/.dev
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -m full tests/browser/test_screenshots.py

reference: $(VENV)/.dev
	$(BIN)/python docs/_ext/from_code.py
	$(BIN)/python docs/_ext/rooms.py

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -E -W -n --keep-going -b html docs docs/_build/html

dist: $(VENV)/.dev
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# All but what was bought: the films of LIVE=1 and --live stay.
clean:
	rm -rf $(VENV) .tox build dist docs/_build .demo/venv .demo/simulated
	rm -rf $(filter-out %/live,$(wildcard example_project/.data/*))
	-rmdir .demo example_project/.data 2>/dev/null
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Dependency groups (PEP 735) came with pip 25.1.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$@ -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[rich]' --group dev
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(DEMO)/bin/python:
	$(PYTHON) -m venv $(DEMO)

$(DEMO)/.installed: pyproject.toml $(SOURCES) $(DEMO_REQUIREMENTS) | $(DEMO)/bin/python
	@echo 'Installing into $(DEMO): a minute or two, the first time.'
	@$(DEMO)/bin/python -m pip install --quiet '.[rich]' $(DEMO_REQUIREMENTS:%=-r %)
	@touch $@
