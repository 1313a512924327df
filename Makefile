# make demo: the main job on a telephone network of its own.  make test: everything that must hold.
# Both install what they need: Debian packages (as root), a virtual environment in .venv, and a chroot with
# Asterisk in a cache folder outside the tree (/var/cache/recbridge-asterisk, or RECBRIDGE_CACHE).
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-matrix test-faults lint unit install clean network bench

demo: install
	@$(BIN)/python -m tests.demo $(if $(ONESHOT),--oneshot) $(if $(PULL),--pull $(PULL))

test: install lint unit

# Some of them: make unit ARGS="tests/api -k webhook".
unit: install
	$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),@sh tests/run-all $(BIN)/python)

# The flows of calls on the other Asterisk that is supported, 16 from Debian bullseye.
test-matrix: install
	RECBRIDGE_SUITE=bullseye $(BIN)/python -m pytest tests/flows $(ARGS)

# Hundreds of kills and other faults, a quarter of an hour; writes CONTRIBUTING's table (FAULTS="--only cut" for a part).
test-faults: install
	@$(BIN)/python -m tests.faults $(FAULTS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A network to play with: two Asterisks, their ports and passwords, until Ctrl-C.
network: install
	@$(BIN)/python -m tests.network

# How fast, against a named peer in the same run (BENCH="first_word --rounds 3" for a part); an idle machine wanted.
bench: install
	@$(BIN)/python -m tests.bench $(BENCH)

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml tests/install-packages
	@sh tests/install-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "recbridge needs Python 3.11 or newer; $(PYTHON) is older (make PYTHON=python3.11 …)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
