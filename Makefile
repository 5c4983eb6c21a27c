# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone with only Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-wheel lint bench docs format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.package
	$(BIN)/spikewise compare digits --out runs

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

# The tests against the built wheel, in an environment of its own that cannot see src/.
test-wheel: $(VENV)/.test
	rm -rf dist build/wheel-env
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv build/wheel-env
	build/wheel-env/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt "$$(ls dist/*.whl)" -r requirements/test.txt
	build/wheel-env/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt --no-deps -r requirements/peers.txt
	build/wheel-env/bin/python -P -m pytest --import-mode=importlib -p no:cacheprovider $(ARGS) tests

lint: $(VENV)/.test
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.package
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.package: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e .
	touch $@

# The peers are oracles. Without their own dependencies: they would bring torchvision and CUDA builds that nothing here uses.
$(VENV)/.test: $(VENV)/.package requirements/test.txt requirements/peers.txt
	$(PIP) install -q -c constraints.txt -r requirements/test.txt
	$(PIP) install -q -c constraints.txt --no-deps -r requirements/peers.txt
	touch $@
