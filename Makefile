# make run: everything, in one terminal. make test: the suite. make check: format, lint, types, layers.
.PHONY: run test check fmt

# In processes of their own, each with its own servers; in the order in which they are collected.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)

run: .venv/run.stamp
	@exec .venv/bin/python -m core.embedded

test: .venv/dev.stamp
	.venv/bin/python -m pytest $(or $(ARGS),$(PARALLEL))

check: .venv/dev.stamp
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

fmt: .venv/dev.stamp
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "vutler: Python 3.11, 3.12 or 3.13 is needed, and none was found" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "vutler: $(PYTHON) cannot make a virtual environment (Debian: apt install python3-venv)" >&2; exit 1; }

.venv/run.stamp: requirements.txt | .venv/bin/python
	@echo "Installing what Vutler needs into .venv (once) ..."
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements.txt requirements-dev.txt | .venv/bin/python
	@echo "Installing what Vutler and its tests need into .venv (once) ..."
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch .venv/run.stamp $@
