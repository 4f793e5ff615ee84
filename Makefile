# `make reproduce` and `make test` need Python >= 3.11, make and the package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKDIR ?= results/quick
CONFIG ?= paper:quick
NEWEST ?= $(shell .ci/newest_python)
# What the test targets run: all tests unless told.
TESTS ?=
PYTEST := -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(TESTS)

.PHONY: help reproduce report test test-lowest test-newest lint docs bench clinic soak notebooks wheel clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# One stamp per set of extras, so that each command installs only what it needs.
$(VENV)/.stamp-%: setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

$(BIN)/uv:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

reproduce: $(VENV)/.stamp-paper  ## run the main job (WORKDIR=results/quick) and print where the page is
	$(BIN)/python -m experiments.launch --config=$(CONFIG) --workdir=$(WORKDIR)

report: $(VENV)/.stamp-paper  ## rebuild claims, figures and page of WORKDIR without training
	$(BIN)/python -m experiments.report --workdir=$(WORKDIR)

test: $(VENV)/.stamp-test  ## run all tests (TESTS=paths: those)
	$(BIN)/python $(PYTEST)

# The two ends of what setup.cfg allows, each in an environment made anew.
test-lowest: $(BIN)/uv  ## run all tests with the oldest Python and packages supported
	$(BIN)/uv venv --quiet --clear --no-python-downloads --python python3.11 $(VENV)-lowest
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest --resolution lowest-direct --editable '.[test]'
	$(VENV)-lowest/bin/python $(PYTEST)

test-newest: $(BIN)/uv  ## run all tests with the newest Python (NEWEST=path) and packages
	$(BIN)/uv venv --quiet --clear --no-python-downloads --python '$(NEWEST)' $(VENV)-newest
	$(BIN)/uv pip install --quiet --python $(VENV)-newest --upgrade --editable '.[test]'
	$(VENV)-newest/bin/python $(PYTEST)

lint: $(VENV)/.stamp-lint  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.stamp-docs  ## build the site into site/; a warning is an error
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.stamp-bench  ## time training, Shapeset and the diagnosis beside PyTorch
	$(BIN)/python -m benchmarks.updates
	$(BIN)/python -m benchmarks.training_share
	$(BIN)/python -m benchmarks.shapeset
	$(BIN)/python -m benchmarks.diagnosis
	$(BIN)/python -m benchmarks.spectra
	$(BIN)/python -m benchmarks.whole_call
	$(BIN)/python -m benchmarks.watch

# Many small programs, each run once: compiling takes longer than running.
clinic: $(VENV)/.stamp-test  ## score the diagnosis on models of known health
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m benchmarks.clinic.score

soak: $(VENV)/.stamp-paper  ## stop a small run 100 times, by signals at random moments, and compare its end
	$(BIN)/python -m benchmarks.soak

notebooks: $(VENV)/.stamp-notebooks  ## make and execute the .ipynb from their .py sources
	$(BIN)/jupytext --to ipynb --execute notebooks/*.py

wheel: $(BIN)/uv  ## build sdist and wheel into dist/
	$(BIN)/uv build --quiet

clean:  ## remove the environments, caches and results
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest build dist site results *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
