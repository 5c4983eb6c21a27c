# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone with only Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test shapes test-gpu test-wheel lint types bench fuzz docs format sanitize packages clean
.DELETE_ON_ERROR:

# The page that it leaves behind is checked where something runs JavaScript.
UNCHECKED := $(if $(shell command -v node || command -v nodejs || command -v chromium),,--unchecked)
demo: $(VENV)/.package
	$(BIN)/spikewise compare digits --out runs
	$(BIN)/spikewise export "$$(ls -td runs/compare-digits-* | head -n 1)" --to html --images 100 $(UNCHECKED)

# Tests of a file stay in one process: they share what is dear to make.
WORKERS ?= 2
PYTEST := pytest -n $(WORKERS) --dist loadfile
test: $(VENV)/.test
	$(BIN)/python -m $(PYTEST) $(ARGS)

# The tests of the core, each call held against the shapes and types of its signature; beartype draws from the global generator
# which item of a list it looks at, so the test that nobody does is left out.
SHAPES := tests/dynamics tests/test_losses.py tests/test_encoders.py tests/test_readouts.py tests/test_graph.py tests/test_network.py \
	tests/test_models.py tests/test_surrogates.py tests/test_initial.py \
	tests/engine/test_reference_vectors.py tests/evaluation/test_cost.py tests/evaluation/test_ties.py tests/evaluation/test_explanations.py \
	tests/data/test_splits.py tests/training/test_fit.py tests/training/test_health.py tests/training/test_short.py tests/training/test_together.py
# What they have to cover; the rest is covered by tests that tracing would make too slow for every run.
CORE := dynamics/* layers/* graph.py modelling.py models.py network.py readouts.py resnet.py surrogates.py ties.py losses.py \
	initial.py encoders.py engine/reference.py engine/contract.py evaluation/cost/*
COMMA := ,
EMPTY :=
shapes: $(VENV)/.test
	$(BIN)/python -m $(PYTEST) --jaxtyping-packages=spikewise,shapes.checked -m "not slow" \
		--cov=spikewise --cov-report= \
		--deselect tests/training/test_fit.py::test_one_seed_gives_one_result_and_the_global_generators_stay $(ARGS) $(SHAPES)
	$(BIN)/coverage report --skip-covered --fail-under=93 \
		--include='$(subst $(EMPTY) $(EMPTY),$(COMMA),$(CORE:%=src/spikewise/%))'

# What the tests of exports and pages drive, from Debian, as root: a browser, emulators, cross compilers. Without them these tests say that
# they are skipped, and which package is missing.
PACKAGES := chromium fonts-dejavu-core nodejs gcc clang lld \
	gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
	gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc
packages:
	dpkg -s $(PACKAGES) > /dev/null 2>&1 || { apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PACKAGES); }

# The tests that need an NVIDIA GPU, each of which says so where there is none.
test-gpu: $(VENV)/.test
	$(BIN)/python -m pytest -m gpu -rs $(ARGS)

# The tests (TESTS names some) against the built wheel, in an environment of its own that cannot see src/.
TESTS ?= tests
test-wheel: $(VENV)/.test
	rm -rf dist build/wheel-env
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv build/wheel-env
	build/wheel-env/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt "$$(ls dist/*.whl)" -r requirements/test.txt
	build/wheel-env/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt --no-deps -r requirements/peers.txt
	build/wheel-env/bin/python -P -m $(PYTEST) -p no:cacheprovider $(ARGS) $(TESTS)

# Needs nothing but ruff and clang-format, so that it answers in seconds in a fresh clone.
lint: $(VENV)/.lint
	$(BIN)/clang-format --dry-run --Werror csrc/*.h csrc/*.cpp
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

# Types need the packages they are of.
types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/clang-format -i csrc/*.h csrc/*.cpp
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

# Mutated inputs, each of which must be answered in words: `make fuzz ARGS="settings --seed 1 --count 6000"`.
fuzz: $(VENV)/.test
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

docs: $(VENV)/.package
	$(BIN)/python docs/build.py

# The engine's tests with an extension that stops at any access out of bounds and any undefined behaviour. Clang compiles each
# version of the kernels in two minutes this way; GCC does AVX-512 so, and needs many more for the others, whose vectors are arrays.
# `make sanitize CXX=clang++ VERSIONS="portable;avx2;avx512"` is all there is.
VERSIONS ?= avx512
ifneq ($(findstring clang,$(CXX)),)
SANITIZE_FLAGS := -DCMAKE_CXX_FLAGS=-shared-libasan
SANITIZERS := $(shell $(CXX) -print-file-name=libclang_rt.asan-$(shell uname -m).so)
else
SANITIZERS := $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libubsan.so)
endif
# Without `site`, whose editable installation would load the extension of every day.
SANITIZED = PYTHONPATH="build/sanitize/package:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" \
	ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(SANITIZERS)" $(BIN)/python -S -P
sanitize: $(VENV)/.test
	$(BIN)/python -m pip install -q nanobind cmake ninja
	rm -rf build/sanitize
	PATH="$(abspath $(BIN)):$$PATH" CXX="$(CXX)" cmake -S . -B build/sanitize -G Ninja $(SANITIZE_FLAGS) -DSPIKEWISE_SANITIZE=ON -DSPIKEWISE_VERSIONS="$(VERSIONS)" -DPython_EXECUTABLE=$(abspath $(BIN))/python
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/sanitize
	mkdir build/sanitize/package && cp -r src/spikewise build/sanitize/package/
	rm -f build/sanitize/package/spikewise/*.so && cp build/sanitize/_native*.so build/sanitize/package/spikewise/
	$(SANITIZED) -c 'import spikewise._native as native; assert "build/sanitize" in native.__file__, native.__file__'
	$(SANITIZED) -m pytest -s -p no:cacheprovider --no-cov tests/engine/native

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.lint: constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt ruff clang-format
	touch $@

# Compiled anew when its sources change.
$(VENV)/.package: pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*) | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e .
	touch $@

# The peers are oracles. Without their own dependencies: they would bring torchvision and CUDA builds that nothing here uses.
$(VENV)/.test: $(VENV)/.package requirements/test.txt requirements/trackers.txt requirements/peers.txt
	$(PIP) install -q -c constraints.txt -r requirements/test.txt -r requirements/trackers.txt
	$(PIP) install -q -c constraints.txt --no-deps -r requirements/peers.txt
	touch $@
