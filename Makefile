# The project's commands. `make help` lists them.
PYTHON ?= python3
RUN ?= walkthrough
PARAMS ?=
ARGS ?=
DATA ?=
PY := .venv/bin/python
# Jupyter, papermill and nbval look for their programs on the path.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help install walkthrough notebooks lab test lint format bench reader release-figures clean

help:  ## List the commands
	@sed -nE 's/^([a-z-]+):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

walkthrough: install  ## Labelled images in, a reader out: notebooks 00 to 07; RUN=name PARAMS="-p epochs 4"
	$(PY) -m crnn_keras.notebook.run.walkthrough --run $(RUN) $(PARAMS)

test: lint  ## Everything: style, unit tests, notebooks by papermill and nbval
	$(PY) -m pytest -n 2 --dist loadfile

lint: install  ## Style only
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: install  ## Mend the style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lab: install  ## JupyterLab on the notebooks, on this machine only
	$(PY) -m jupyterlab --ip 127.0.0.1 --LabApp.default_url=/lab/tree/notebooks

notebooks: walkthrough  ## Run the walkthrough and keep its outputs in notebooks/
	$(PY) tests/keep_outputs.py reports/$(RUN)

bench: install  ## Speeds, side by side
	$(PY) benchmarks/ctc.py
	$(PY) benchmarks/training.py
	$(PY) benchmarks/reading.py
	$(PY) benchmarks/records.py --rows 10000 100000
	$(PY) benchmarks/render.py

reader: install  ## Make the shipped reader from nothing, over days; ARGS="--words 3000000"
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[readers]' -c constraints.txt
	$(PY) -m tools.readers train $(ARGS)

release-figures: install  ## Measure the shipped readers on the real sets of DATA=folder
	$(PY) -m tools.readers figures $(DATA)

clean:  ## Remove what was made, but for your data
	rm -rf .venv .pytest_cache .ruff_cache *.egg-info

install: .venv/installed  ## Make .venv with pinned versions

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1). Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "No virtual environment can be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[jax,onnx,test]'
	@touch $@
