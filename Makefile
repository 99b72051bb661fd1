# Everything a person types. The set-up needs python3 with venv, nothing else; it is skipped when
# nothing changed. Only results go to stdout: pip and progress go to stderr.
.POSIX:
.PHONY: help setup run-paper test check bench soak lock clean
.DEFAULT_GOAL := help

PYTHON = python3
VENV = .venv
CONFIG = config.toml
JOBS ?= 3

ifneq ($(and $(EXCHANGE),$(DATA)),)
$(error EXCHANGE=$(EXCHANGE) and DATA=$(DATA) name two markets: give one of them)
endif

# A copied or moved checkout must not run the code of the place it came from.
HERE := $(shell printf '%s' '$(CURDIR)' | cksum | cut -d ' ' -f 1)
RUN_STAMP = $(VENV)/.run-$(HERE)
DEV_STAMP = $(VENV)/.dev-$(HERE)
# A lock names everything that is needed, so nothing is left to resolve: a resolver would look at
# releases newer than the lock, and older ones of pip stumble over them.
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --no-deps
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'

help:
	@echo 'make setup       .venv with the locked requirements'
	@echo 'make run-paper   trade on paper: the embedded exchange and a synthetic market, no account, no network'
	@echo '                 DATA=file.csv.gz    a recording instead'
	@echo '                 EXCHANGE=binance    a real market, still on paper (any ccxt id)'
	@echo '                 also CONFIG= STATE= FROM= SYMBOL= BARS= SPEED=n|max SEED= EDGE=0..1 ALSO='
	@echo 'make test        the test suite'
	@echo 'make check       format, lint, types'
	@echo 'make bench       measurements        make soak SOAK=name   a long simulation, see tests/soak'
	@echo 'make lock        new requirement locks (needs uv)'
	@echo 'make clean       remove .venv and caches; state/ stays'

setup: $(RUN_STAMP)
	@:

$(RUN_STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tradingd needs Python 3.11 or newer; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "python3-venv is missing: apt install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once, about a minute)" >&2
	@test -e $(VENV)/.made-$(HERE) || $(PYTHON) -m venv --clear $(VENV) >&2
	@touch $(VENV)/.made-$(HERE)
	@$(PIP) --require-hashes -r requirements.lock >&2
	@$(PIP) --no-build-isolation -e . >&2
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@$(PIP) --require-hashes -r requirements-dev.lock >&2
	@touch $@

run-paper: $(RUN_STAMP)
	@$(VENV)/bin/tradingd run --mode paper --config '$(CONFIG)' \
		--market '$(or $(EXCHANGE),$(DATA),synthetic)' \
		$(if $(STATE),--state-dir '$(STATE)') $(if $(FROM),--from '$(FROM)') \
		$(if $(SYMBOL),--symbol '$(SYMBOL)') $(if $(BARS),--bars '$(BARS)') \
		$(if $(SPEED),--speed '$(SPEED)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(EDGE),--edge '$(EDGE)') $(if $(ALSO),--also '$(ALSO)')

test: $(DEV_STAMP)
	@$(VENV)/bin/python -m pytest -n $(JOBS)

check: $(DEV_STAMP)
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/mypy

bench: $(DEV_STAMP)
	@test -d tests/bench || \
		{ echo "make bench: tests/bench does not exist yet, nothing was measured" >&2; exit 2; }
	@$(VENV)/bin/python -m tests.bench

soak: $(DEV_STAMP)
	@$(VENV)/bin/python -m tests.soak $(SOAK)

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 2; }
	@$(LOCK) $(LOCK_FLAGS) pyproject.toml --group build -o requirements.lock >&2
	@$(LOCK) $(LOCK_FLAGS) --group dev -c requirements.lock -o requirements-dev.lock >&2

clean:
	@rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find daemon tests -name __pycache__ -type d -prune -exec rm -rf {} +
