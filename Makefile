# Everything runs in .venv, which each target makes and fills as far as it needs.
# Works with the GNU make 3.81 that macOS carries.

PYTHON ?= python3
# Processes that run tests, each in databases of its own on the one server: more than there are
# cores, since tests wait as well.
JOBS ?= 3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The packaged versions, the system's where it has a server, and those that the user names.
SYSTEM_PG := $(wildcard /usr/lib/postgresql/1[5-8]/bin/initdb /usr/pgsql-1[5-8]/bin/initdb \
  /opt/homebrew/opt/postgresql@1[5-8]/bin/initdb /usr/local/opt/postgresql@1[5-8]/bin/initdb)
ALL_PG := 18 16 $(patsubst %/,%,$(dir $(SYSTEM_PG))) $(subst :, ,$(SLOTWARDEN_PG_BIN))

.DEFAULT_GOAL := help
.PHONY: help demo web test test-all test-browser chromium lint psql clean histories \
  histories-long mutants interleavings bench bench-full bench-smoke chaos fuzz reference

help: ## show this
	@echo "make demo            50 callers fight over one day, on a PostgreSQL that is started for it"
	@echo "make web             the calendar in a browser, on a PostgreSQL of your own that keeps its data"
	@echo "make test            the tests, on that PostgreSQL"
	@echo "make test-all        the tests on every major version of PostgreSQL at hand, and in a browser"
	@echo "make test-browser    those in a browser alone"
	@echo "make histories       random concurrent calls, and a checker that replays them (minutes)"
	@echo "make histories-long  the same at length, resumed where it stopped (hours)"
	@echo "make mutants         deliberate bugs, each of which the checker has to catch"
	@echo "make interleavings   every pair of calls, driven step by step"
	@echo "make bench           bookings beside other ways to book, measured against the goals (25 minutes)"
	@echo "make bench-full      every combination (hours)"
	@echo "make bench-smoke     every contender once, for correctness only (seconds)"
	@echo "make chaos           faults made on purpose: crashes, lost replies, full disks ... (minutes)"
	@echo "make fuzz            100,000 calls with whatever callers may pass (minutes)"
	@echo "make lint            ruff, mypy, a parser for the SQL, and squawk for the migrations"
	@echo "make reference       docs/reference/, from the comments of the SQL and the docstrings"
	@echo "make psql            psql on your lasting server"
	@echo "make clean           remove .venv and what the tools left (your data stay)"
	@echo
	@echo "PYTHON=...             the Python to use, 3.11 or newer (now: $(PYTHON))"
	@echo "SLOTWARDEN_PG_BIN=...  a folder of PostgreSQL binaries to use instead of the packaged ones"
	@echo "                       (make test-all: several, with colons between)"

demo: $(VENV)/.installed-run
	@$(BIN)/slotwarden demo

# WEB="--port 9000 --no-open" and the like.
web: $(VENV)/.installed-web
	@$(BIN)/slotwarden web $(WEB)

psql: $(VENV)/.installed-run
	@$(BIN)/slotwarden psql

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q -n $(JOBS)

# SLOTWARDEN_PG_BIN is for test-all alone here: it would win over the version that a run asks for.
test-all: $(VENV)/.installed-test
	@set -e; unset SLOTWARDEN_PG_BIN; for pg in $(ALL_PG); do \
	  echo "== PostgreSQL $$pg"; \
	  SLOTWARDEN_TEST_PG=$$pg $(BIN)/python -m pytest -q -n $(JOBS); \
	done
	@$(MAKE) --no-print-directory test-browser

test-browser: $(VENV)/.installed-browser chromium
	@SLOTWARDEN_WEB_EXAMPLES=25 $(BIN)/python -m pytest -q tests/test_web_contract.py tests/browser

# Debian's own, as a package of the system; elsewhere the tests say what they lack.
chromium:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "Installing chromium ..."; \
	    { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } \
	      >/dev/null || echo "chromium could not be installed" >&2; \
	  else \
	    echo "There is no chromium, so the tests in a browser are skipped."; \
	  fi; }

histories: $(VENV)/.installed-test
	@$(BIN)/python -m tests.histories

histories-long: $(VENV)/.installed-test
	@$(BIN)/python -m tests.histories long

mutants: $(VENV)/.installed-test
	@$(BIN)/python -m tests.histories mutants

interleavings: $(VENV)/.installed-test
	@SLOTWARDEN_EVERY_PAIR=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/interleavings

# BENCH takes options such as BENCH="--cells 'hot/*' --rounds 3"; the machine should do nothing else.
bench: $(VENV)/.installed-bench
	@$(BIN)/python -m benchmarks $(BENCH)

bench-full: $(VENV)/.installed-bench
	@$(BIN)/python -m benchmarks --full $(BENCH)

bench-smoke: $(VENV)/.installed-test $(VENV)/.installed-bench
	@$(BIN)/python -m pytest -q benchmarks

# CASE=... for one case, PG=... for one version.
chaos: $(VENV)/.installed-chaos
	@$(BIN)/python -m tests.chaos $(addprefix --pg ,$(PG)) $(CASE)

reference: $(VENV)/.installed-run
	@$(BIN)/python .ci/reference.py

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/lint_sql.py
	@if [ -x $(BIN)/squawk ]; then \
	  echo "$(BIN)/squawk alembic/versions/sql/*.up.sql"; $(BIN)/squawk alembic/versions/sql/*.up.sql; \
	else echo "squawk is skipped: it has no package for this machine"; fi

# A seed that is given makes the same calls again.
fuzz: $(VENV)/.installed-test
	@SLOTWARDEN_FUZZ_EXAMPLES=$(or $(SLOTWARDEN_FUZZ_EXAMPLES),100000) \
	  $(BIN)/python -m pytest -q -s tests/fuzz/test_fuzz.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml when what it names is installed.
$(VENV)/.installed-run: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden into $(VENV) ..."
	@$(PIP) install --editable '.[embedded]'
	@touch $@

$(VENV)/.installed-web: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and its web application into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,web]'
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-test: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and what its tests need into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,web,test]'
	@touch $@ $(VENV)/.installed-run $(VENV)/.installed-web

$(VENV)/.installed-browser: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and what its tests in a browser need into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,web,test,browser]'
	@touch $@ $(VENV)/.installed-run $(VENV)/.installed-web $(VENV)/.installed-test

$(VENV)/.installed-bench: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and what its benchmark needs into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,bench]'
	@touch $@ $(VENV)/.installed-run

# What cannot be had is no error: the cases that need it are skipped, and say so.
$(VENV)/.installed-chaos: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and what faults are made with into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,web,test]'
	@$(PIP) install --editable '.[chaos]' || echo "libfaketime could not be installed."
	@if [ ! -x /usr/sbin/pgbouncer ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing pgbouncer ..."; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends pgbouncer \
	    >/dev/null || echo "pgbouncer could not be installed."; \
	fi
	@touch $@ $(VENV)/.installed-run $(VENV)/.installed-web $(VENV)/.installed-test

$(VENV)/.installed-lint: pyproject.toml $(VENV)/.made
	@echo "Installing slotwarden and its linters into $(VENV) ..."
	@$(PIP) install --editable '.[embedded,web,test,lint]'
	@touch $@ $(VENV)/.installed-run $(VENV)/.installed-web $(VENV)/.installed-test

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments." >&2; \
	  echo "Debian, Ubuntu: apt install python3-venv" >&2; \
	  echo "Others: install a complete Python, such as the one of python.org or Homebrew" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
