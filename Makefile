# make demo    a simulated raw night, into masters, catalogues, light curves and a report
# make test    all tests
# make chaos   the daemon under a thousand kills and every disturbance, into docs/reliability.md   (under an hour)
# make lint    format, style, types, direction of the imports
# make bench   all measurements, into benchmarks/RESULTS.md    (ARGS=--quick: the short form)
# make docs    the user guide, into docs/_build/html
# make setup   the virtual environment .venv only, ready for work on the code
# make clean   everything that the above made, except .venv
#
# It needs Python >= 3.11 with venv, and the package registry for the first installation. Tests talk to PostgreSQL,
# mosquitto, nats-server and chromium: what lacks of them is installed from Debian (as root or with sudo), or said.
# PYTHON=python3.12 make demo  takes another interpreter; ARGS="..." is handed to the program that a target runs.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
ROOMS := images processors pipeline configs
CODE := $(ROOMS) etendue tests benchmarks examples docs setup.py
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input

export PYTHONUNBUFFERED := 1
# Whatever is started anew for each image, and in each test, is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: demo test chaos lint bench docs setup programs typing clean

demo: $(VENV)/installed
	@$(BIN)/etendue demo $(ARGS)

test: $(VENV)/installed-test programs
	@echo "Running the tests; the last line sums them up."
	@# One process more than cores, since tests of the daemon wait as much as they compute.
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

chaos: $(VENV)/installed-test programs
	@$(BIN)/python -m tests.chaos $(ARGS)

lint: $(VENV)/installed-test $(VENV)/installed-lint typing
	$(BIN)/ruff format --check --quiet $(CODE) || { echo "Run: $(BIN)/ruff format $(CODE)"; exit 1; }
	$(BIN)/ruff check --quiet $(CODE)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	$(BIN)/python -m pytest -q tests/house/test_imports.py
	@echo "make lint: format, style, types and imports are in order."

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs docs/_build/html $(ARGS)
	@echo "make docs: the user guide is in docs/_build/html/index.html"

setup: $(VENV)/installed-test $(VENV)/installed-lint
	@echo "make setup: $(VENV) is ready. Activate it with: . $(BIN)/activate"

clean:
	rm -rf build dist demo docs/_build docs/generated etendue.egg-info .pytest_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "make clean: removed all that was built. $(VENV) stays; remove it with: rm -r $(VENV)"

programs:
	@.ci/programs

# The rooms under the name that they are installed with: type checkers do not run import hooks.
typing:
	@rm -rf build/typing && mkdir -p build/typing/etendue
	@for part in $(ROOMS) $(notdir $(wildcard etendue/*.*)); do \
	  [ -e $$part ] && from=$$part || from=etendue/$$part; \
	  ln -s ../../../$$from build/typing/etendue/$$part; done

# --- installation: repeated only when pyproject.toml or setup.py have changed -----------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Etendue needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/installed: pyproject.toml setup.py | $(BIN)/python
	@echo "Installing etendue and what it needs into $(VENV) (a few minutes the first time) ..."
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-%: pyproject.toml setup.py | $(BIN)/python
	@echo "Installing etendue[$*] and what it needs into $(VENV) (a few minutes the first time) ..."
	@$(PIP) install --editable ".[$*]"
	@touch $@ $(VENV)/installed
