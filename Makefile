# Two commands matter: `make lab` to learn, `make test` to prove. Everything lives in .venv.

PYTHON ?= python3
VENV = .venv
# Flags handed on, such as  make lab ARGS="--no-browser --port 8899".
ARGS =
# Which notebooks `make refresh` runs, such as  make refresh NB="03 04".  All of them without it.
NB =

PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# A person waiting likes to see pip at work; a log does not.
QUIET = $(if $(CI),--quiet --quiet)
# Jupyter asks for this flag from root, which is who one is in many containers.
ROOT_FLAG = $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test bench picture refresh check lint format lock clean

help: ## Show these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-8s %s\n' "$$name" "$$text"; done

lab: $(STAMP) ## Install once, then open JupyterLab on the first lesson
	$(PY) -m jupyterlab notebooks/01_patches.ipynb --ServerApp.root_dir=. $(ROOT_FLAG) $(ARGS)

# All parts run even when one fails; the last lines are pytest's own.
# One thread for each: two sets of tests, or two notebooks, run side by side.
test: export CUDA_VISIBLE_DEVICES :=
test: export OMP_NUM_THREADS := 1
test: $(STAMP) ## Lint, test swinlib, run every notebook and compare its outputs, unanswered and solved
	@failed=; \
	$(PY) -m ruff check . && $(PY) -m ruff format --check . || failed="$$failed lint"; \
	$(PY) -m pytest tests --ignore tests/test_browser.py -n 2 --dist loadfile \
	  || failed="$$failed tests"; \
	$(PY) -m pytest tests/test_browser.py || failed="$$failed browser"; \
	$(PY) -m pytest --nbval notebooks -n 2 --dist loadscope || failed="$$failed notebooks"; \
	$(PY) -m pytest --nbval notebooks --solved -n 2 --dist loadscope || failed="$$failed solved"; \
	if [ -n "$$failed" ]; then echo "make test: failed in:$$failed" >&2; exit 1; fi

refresh: $(STAMP) ## Run the notebooks in place and store clean outputs (NB="03 04" for some)
	$(PY) tools/nbtool.py refresh $(NB)

check: $(STAMP) ## Check the form of the stored notebooks without running them
	$(PY) tools/nbtool.py check $(NB)

# timm serves the comparison alone, so it is installed only here.
bench: $(STAMP) ## Time swinlib beside torchvision and timm, and draw the table (ARGS="--help")
	$(PY) -m pip install $(QUIET) --disable-pip-version-check -e '.[bench]'
	$(PY) tools/bench.py $(ARGS)

# The still of lesson 04's explorer, by the same code that draws it live.
EXPLORER = ShiftMaskExplorer(height=8, width=12, window_size=4, shift_size=(2, 1), window=5)
picture: $(STAMP) ## Draw the README's picture again
	$(PY) -c "from swinlib.lab.widgets import ShiftMaskExplorer; \
	  $(EXPLORER).save('data/shift_mask_explorer.png')"

lint: $(STAMP) ## Check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP) ## Repair style and formatting where that is safe
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

# torch's own metadata pins the CUDA packages it wants, and a CPU-only torch wants none of them.
COMPILE := uv pip compile --universal --python-version 3.10 --extra test pyproject.toml
lock: $(PY) ## Pin the newest versions that fit pyproject.toml in requirements.txt
	$(PY) -m pip install --quiet uv
	$(PY) -m $(COMPILE) --upgrade --quiet --no-header --annotation-style line > $(VENV)/lock.txt
	@{ echo "# Written by \`make lock\`: $(COMPILE)"; \
	  echo "# One file for Python 3.10 and later on Linux, macOS and Windows, without CUDA packages:"; \
	  echo "# torch names those itself where it wants them."; \
	  grep -vE '^(nvidia-|cuda-|triton==)' $(VENV)/lock.txt; \
	  echo '-e .'; } > requirements.txt
	@echo "requirements.txt: $$(grep -c == requirements.txt) pins"

clean: ## Remove the environment and all caches; data and trained models stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# Installed again only when what is to be installed has changed.
$(STAMP): requirements.txt pyproject.toml | $(PY)
	@echo "Installing into $(VENV), once; with torch this takes some minutes."
	@$(PY) -m pip install $(QUIET) --disable-pip-version-check -r requirements.txt
	@touch $@

$(PY):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "'$(PYTHON)' not found. Install Python 3.10 or later, or name one: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$$($(PYTHON) --version 2>&1) is too old: the course needs Python 3.10 or later." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' has no venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV)
