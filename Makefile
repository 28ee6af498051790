# run · test · check · wheel · lock. Needs Python >= 3.11 and make; everything else goes into .venv, from the lock.
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# A copied or moved folder brings a .venv whose scripts point to the old place: make it again.
ifneq ($(shell cat $(VENV)/.place 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/.place)
endif

.PHONY: help run page test check bench wheel format lock clean

help:
	@echo "make run      start everything and print the address (PORT=8000, MINUTEBOOK_HOME=.minutebook)"
	@echo "make page     build GraphiQL, or say why it cannot be built; make run does it once by itself"
	@echo "make test     run the tests"
	@echo "make check    linters, types, drift"
	@echo "make bench    measure against PostGraphile and others, about three quarters of an hour (SCALE=30 shows growth, ARGS=--help)"
	@echo "make wheel    dist/minutebook-*.whl, with GraphiQL in it"
	@echo "make format   let ruff rewrite what it can"
	@echo "make lock     pin the dependencies again"
	@echo "make clean    remove .venv and caches, never .minutebook"

run: $(VENV)/.run
	@$(BIN)/python -m api.graphiql.build
	@exec $(BIN)/minutebook run

page: $(VENV)/.run
	@$(BIN)/python -m api.graphiql.build --now

# Three at a time on two cores: a third of a test's time is waiting for PostgreSQL, a browser or a clock. In the folders'
# order: by their number of tests, files with few long ones would come last and leave a core idle.
test: $(VENV)/.test
	@exec $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/minutebook schema --check
	$(BIN)/python -m pytest -q -k drift tests

# bench.json and the README's table. wrk makes the load where it is installed, a generator of ours elsewhere.
bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench --scale $(or $(SCALE),1) $(ARGS)
	$(BIN)/python -m api.readme

wheel: page
	@rm -rf build
	@$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.place:
	@set -e; \
	for candidate in $${PYTHON:-python3.13 python3.12 python3.11 python3 python3.14 python}; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$${python-}" ]; then \
	  echo "Minutebook needs Python 3.11 or newer; none of $${PYTHON:-python3.13, python3.12, python3.11, python3} is." >&2; \
	  echo "Name one: make run PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	  echo "$$python cannot make a virtual environment: its venv or ensurepip module is missing." >&2; \
	  echo "Debian and Ubuntu: apt install python3-venv. Or name another: make run PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version 2>&1)"; \
	$$python -m venv --clear $(VENV); \
	printf '%s' "$(CURDIR)" > $@

$(VENV)/.run: $(VENV)/.place requirements.lock pyproject.toml
	@echo "Installing the dependencies (once, about 200 MB)"
	@$(PIP) install --quiet --progress-bar on --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-index --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements-dev.lock
	@echo "Installing the tools of test and check (once)"
	@$(PIP) install --quiet --progress-bar on --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.run tests/bench/requirements.txt
	@echo "Installing Node and what the benchmark needs (once)"
	@$(PIP) install --quiet --progress-bar on --require-hashes -r tests/bench/requirements.txt
	@touch $@

# The public index alone, whatever this machine's pip is configured to: the lock names no registry and no path.
COMPILE := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null \
  CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-emit-trusted-host --no-emit-options --strip-extras --allow-unsafe --pip-args=--isolated

lock: $(VENV)/.place
	@$(PIP) install --quiet pip-tools==7.6.2
	$(COMPILE) --build-deps-for editable --extra page -o requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra test --extra check -o requirements-dev.lock pyproject.toml
	cd tests/bench && $(subst $(BIN),$(CURDIR)/$(BIN),$(COMPILE)) -o requirements.txt requirements.in

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist ./*.egg-info
