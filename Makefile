# `make reproduce` and `make test` need Python >= 3.11, make and the package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKDIR ?= results/quick
CONFIG ?= paper:quick

.PHONY: help reproduce report test lint bench clinic notebooks clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# One stamp per set of extras, so that each command installs only what it needs.
$(VENV)/.stamp-%: setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.$(if $(filter-out run,$*),[$*])'
	@touch $@

reproduce: $(VENV)/.stamp-run  ## run the main job (WORKDIR=results/quick) and print where the page is
	$(BIN)/python -m experiments.launch --config=$(CONFIG) --workdir=$(WORKDIR)

report: $(VENV)/.stamp-run  ## rebuild claims, figures and page of WORKDIR without training
	$(BIN)/python -m experiments.report --workdir=$(WORKDIR)

test: $(VENV)/.stamp-test  ## run all tests
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

lint: $(VENV)/.stamp-lint  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.stamp-bench  ## time training, Shapeset and the diagnosis beside PyTorch
	$(BIN)/python -m benchmarks.updates
	$(BIN)/python -m benchmarks.training_share
	$(BIN)/python -m benchmarks.shapeset
	$(BIN)/python -m benchmarks.diagnosis
	$(BIN)/python -m benchmarks.spectra

clinic: $(VENV)/.stamp-test  ## score the diagnosis on models of known health
	$(BIN)/python -m benchmarks.clinic.score

notebooks: $(VENV)/.stamp-notebooks  ## make and execute the .ipynb from their .py sources
	$(BIN)/jupytext --to ipynb --execute notebooks/*.py

clean:  ## remove the environment, caches and results
	rm -rf $(VENV) build dist results *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
