# make run: everything, in one terminal. make test: the suite. make check: format, lint, types, layers.
# make test MONGODB_URI=… REDIS_URL=…: on servers that are for tests alone, see CONTRIBUTING.md.
# make demo: a workspace with a day of work in it. make vendor: what the dashboard uses of others, renewed.
# make bench: ours beside other proxies and task queues. Where those are: LITELLM=…/bin/litellm PEERS=…/bin/python
# POSTGRES=/usr/lib/postgresql/15/bin; without them, ours alone. With MONGODB_URI=…, chats are measured on that store.
# make screens: docs/screens, the dashboard's pages as they are.
# make openclaw: the agents' program. make test-openclaw: the runtime against it.
.PHONY: run demo bench vendor screens test test-fast check fmt openclaw test-openclaw

# In processes of their own, each with its own servers; in the order in which they are collected.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)

run: .venv/run.stamp
	@exec .venv/bin/python -m core.embedded

demo: .venv/run.stamp
	@.venv/bin/python -m core.cli demo

bench: .venv/dev.stamp
	@.venv/bin/python -m bench.starts $(if $(PEERS),--peers $(PEERS)) $(if $(POSTGRES),--postgres $(POSTGRES))
	@.venv/bin/python -m bench.throughput $(if $(LITELLM),--litellm $(LITELLM))
	@.venv/bin/python -m bench.throughput --stream --connections 1 $(if $(LITELLM),--litellm $(LITELLM))
	@.venv/bin/python -m bench.chat held
	@.venv/bin/python -m bench.lists

vendor: .venv/run.stamp
	@.venv/bin/python -m web.dashboard.vendor

screens: .venv/dev.stamp
	@.venv/bin/python -m tests.dashboard.screens

test: .venv/dev.stamp
	.venv/bin/python -m pytest $(or $(ARGS),$(PARALLEL))

# Without whole processes, outages, and what tries very many things: the list is in tests/conftest.py.
test-fast: .venv/dev.stamp
	.venv/bin/python -m pytest -m "not slow" $(or $(ARGS),-n 2 --dist loadfile)

check: .venv/dev.stamp
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

# Each version in a folder of its own: agents can go back to the one before. No script of a package is run.
NPM := core/runtime/npm
OPENCLAW := $(or $(DATA_DIR),.data)/openclaw/$(shell sed -n 's/.*"openclaw": "\(.*\)".*/\1/p' $(NPM)/package.json)

openclaw:
	@cmp -s $(NPM)/package-lock.json "$(OPENCLAW)/installed.json" || { \
		command -v npm >/dev/null || { echo "vutler: npm is needed (Debian: apt install npm)" >&2; exit 1; }; \
		echo "Installing OpenClaw and its Node into $(OPENCLAW) (once, 830 MB) ..."; \
		mkdir -p "$(OPENCLAW)" && cp $(NPM)/package.json $(NPM)/package-lock.json "$(OPENCLAW)" && \
		(cd "$(OPENCLAW)" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && \
		cp $(NPM)/package-lock.json "$(OPENCLAW)/installed.json"; }

test-openclaw: .venv/dev.stamp $(if $(OPENCLAW_PATH),,openclaw)
	.venv/bin/python -m pytest -x $(or $(ARGS),tests/with_openclaw.py)

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
