# The project's commands. `make help` lists them.
PYTHON ?= python3
RUN ?= walkthrough
PARAMS ?=
ARGS ?=
DATA ?=
MINUTES ?= 60
PY := .venv/bin/python
# A worker that died is a failure at once: pytest-xdist can wait for ever after it started another.
PYTEST := $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# Jupyter, papermill and nbval look for their programs on the path.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help bench class clean dataflow demo format fuzz install lab lint notebooks reader release release-figures site \
  test test-fast test-gpu test-notebooks walkthrough

help:  ## List the commands
	@sed -nE 's/^([a-z-]+):.*## /\1|/p' $(MAKEFILE_LIST) | LC_ALL=C sort -t '|' -k 1,1 \
	  | awk -F '|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

bench: install  ## Measure speeds, side by side
	$(PY) benchmarks/ctc.py
	$(PY) benchmarks/training.py
	$(PY) benchmarks/reading.py
	$(PY) benchmarks/records.py --rows 10000 100000
	$(PY) benchmarks/render.py

class: install  ## Write the student's and the teacher's copy of the notebooks into build/class; LANG=zh
	$(PY) tools/classroom.py $(if $(filter zh,$(LANG)),build/class-zh --language zh)

clean:  ## Remove the environment and the caches, not your data
	rm -rf .venv .pytest_cache .ruff_cache *.egg-info

dataflow: install  ## Draw docs/dataflow.svg from the imports of the package
	$(PY) tools/dataflow.py

demo: install  ## Build the page that reads in a browser into build/demo
	$(PY) tools/demo.py build build/demo

format: install  ## Repair the style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lab: install  ## Open JupyterLab on the notebooks, on this machine only
	$(PY) -m jupyterlab --ip 127.0.0.1 --LabApp.default_url=/lab/tree/notebooks \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

lint: install  ## Check the style
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

# The run that the notebooks have by default: keep_outputs.py takes no other.
notebooks: RUN = lesson
notebooks: walkthrough  ## Run the walkthrough and keep its outputs in notebooks/
	$(PY) tests/keep_outputs.py reports/$(RUN)

reader: install  ## Train the shipped readers from nothing, over days; ARGS="--words 3000000"
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[readers]' -c constraints.txt
	$(PY) -m tools.readers train $(ARGS)

release: install  ## Build sdist and wheel, try the wheel in clean environments; ARGS="--only read"
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[release]' -c constraints.txt
	$(PY) tools/release.py $(ARGS)

release-figures: install  ## Measure the shipped readers on the real sets of DATA=folder
	$(PY) -m tools.readers figures $(DATA)
	$(PY) benchmarks/readers.py $(DATA) --only accuracy --readers .onnx .keras
	$(PY) -m tools.readers cards --check

site: install  ## Build the site into build/site: lessons, guides, Python interface, slides
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[site]' -c constraints.txt
	$(PY) tools/website.py build build/site

# Two calls: of each short training TensorFlow keeps 40 MB in memory, JAX 10.
test: lint  ## Run all tests: style, package, notebooks, backends
	$(PYTEST) -m "not loop"
	KERAS_BACKEND=jax $(PYTEST) -m loop

test-fast: install  ## Run the tests of a few minutes: no notebooks, no training, one backend
	$(PYTEST) -m "not slow and not notebooks and not backends"

test-gpu: install  ## Compare numbers, training and resuming on this machine's GPU with the CPU
	CRNN_KERAS_GPU=1 $(PY) -m pytest -n 0 -s tests/test_gpu.py

test-notebooks: install  ## Run the tests that execute notebooks
	$(PYTEST) -m notebooks

walkthrough: install  ## Run notebooks 00 to 08; RUN=name; PARAMS="-p steps_per_epoch 0" trains three times as long
	.venv/bin/crnn-keras walkthrough --run $(RUN) $(PARAMS)

fuzz: install  ## Read damaged files of all kinds for MINUTES=60; findings are in reports/fuzz
	$(PY) tests/fuzz --minutes $(MINUTES)

install: .venv/installed  ## Make .venv with pinned versions

.venv/installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1). Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "No virtual environment can be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export,jax,notebooks,serve,test]'
	@touch $@
