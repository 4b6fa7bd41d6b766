# Two commands matter: `make lab` to learn, `make test` to prove. Everything lives in .venv; what a
# learner writes, in learn/.

PYTHON ?= python3
VENV = .venv
# Flags handed on, such as  make lab ARGS="--no-browser --port 8899".
ARGS =
# Which lessons are meant, such as  make fresh NB=04  or  make refresh NB="03 04".
NB =

PY := $(VENV)/bin/python
# Stamps: the environment is made, what lessons need is installed, what maintainers need is too, and
# what makes the web site.
MADE := $(VENV)/.made
LAB := $(VENV)/.lab
TEST := $(VENV)/.test
SITE := $(VENV)/.site
# The environment belongs to one Python and one folder. After a move, a copy or an upgrade it does
# not fit any more: its stamp goes, and what is missing is made again; not where it is another's.
LENT = $(shell test -L $(VENV) && cut -d' ' -f4- $(MADE) 2>/dev/null | grep -vxF "$$(pwd -P)")
$(if $(LENT),$(error $(VENV) is a link to the environment of $(LENT), which make would change. \
Remove the link, and make makes one here))
FITS = "$$($(PY) --version 2>&1 | cut -d. -f1,2) in $$(pwd -P)"
$(shell [ "$$(cat $(MADE) 2>/dev/null)" = $(FITS) ] || rm -f $(MADE))
# A person waiting likes to see pip at work; a log does not.
QUIET = $(if $(CI),--quiet --quiet)
# With a setuptools of its own an environment is repaired without a network.
MODERN = import setuptools as s; raise SystemExit(int(s.__version__.split(".")[0]) < 77)
OFFLINE = $(if $(shell $(PY) -c '$(MODERN)' 2>/dev/null && echo yes),--no-build-isolation)
INSTALL = $(PY) -m pip install $(QUIET) --disable-pip-version-check $(OFFLINE)

.DEFAULT_GOAL := help
.PHONY: help lab fresh progress test oldest clock site bench picture refresh check lint format lock clean

help: ## Show these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-8s %s\n' "$$name" "$$text"; done

lab: $(LAB) ## Install once, then open JupyterLab on your own copy of the first lesson
	@$(PY) -m swinlib.lab lab $(ARGS)

fresh: $(LAB) ## Lay a new copy of a lesson and keep yours beside it (NB=04)
	@$(PY) -m swinlib.lab fresh $(NB)

progress: $(LAB) ## Show which exercises are answered, right, open
	@$(PY) -m swinlib.lab progress

# What needs a browser runs by itself: it keeps both cores busy.
BROWSER = tests/test_browser.py tests/test_site.py
# All parts run even when one fails; the last lines are pytest's own.
# One thread for each: two sets of tests, or two notebooks, run side by side.
test: export CUDA_VISIBLE_DEVICES :=
test: export OMP_NUM_THREADS := 1
# Somebody's own settings of Python and pytest are not what is tested.
test: export PYTHONWARNINGS :=
test: export PYTEST_ADDOPTS :=
test: $(TEST) $(SITE) ## Lint, test swinlib, run every notebook and compare its outputs, unanswered and solved
	@failed=; \
	$(PY) -m ruff check . && $(PY) -m ruff format --check . || failed="$$failed lint"; \
	$(PY) -m pytest tests $(BROWSER:%=--ignore %) -n 2 --dist loadfile \
	  || failed="$$failed tests"; \
	$(PY) -m pytest $(BROWSER) || failed="$$failed browser"; \
	$(PY) -m pytest --nbval notebooks -n 2 --dist loadscope || failed="$$failed notebooks"; \
	$(PY) -m pytest --nbval notebooks --solved -n 2 --dist loadscope || failed="$$failed solved"; \
	if [ -n "$$failed" ]; then echo "make test: failed in:$$failed" >&2; exit 1; fi

# `--no-config`: else uv takes the torch that pyproject.toml pins for `make lock`.
OLDEST = $(VENV)/oldest
oldest: export OMP_NUM_THREADS := 1
oldest: $(MADE) ## Test with the oldest version of everything that pyproject.toml allows (PYTHON=python3.10)
	$(PY) -m pip install --quiet uv
	$(PY) -m uv venv --quiet --clear --python $(PYTHON) $(OLDEST)
	$(PY) -m uv pip install --no-config --quiet --python $(OLDEST) --resolution lowest-direct $(ARGS) \
	  --editable '.[test,site]'
	$(OLDEST)/bin/python tools/oldest.py
	@failed=; \
	$(OLDEST)/bin/python -m pytest tests $(BROWSER:%=--ignore %) -n 2 --dist loadfile \
	  || failed="$$failed tests"; \
	$(OLDEST)/bin/python -m pytest --nbval notebooks -n 2 --dist loadscope \
	  || failed="$$failed notebooks"; \
	if [ -n "$$failed" ]; then echo "make oldest: failed in:$$failed" >&2; exit 1; fi

site: $(SITE) ## Build the web site from README, the stored notebooks and the docstrings
	$(PY) tools/website.py

# A loaded machine fails these, so they are no part of `make test`.
clock: $(TEST) ## Test that widgets and checks answer at once, on a machine with nothing else to do
	$(PY) -m pytest tests -m clock

refresh: $(TEST) ## Run the notebooks in place and store clean outputs (NB="03 04" for some)
	$(PY) tools/nbtool.py refresh $(NB) $(ARGS)

check: $(TEST) ## Check the form of the stored notebooks without running them
	$(PY) tools/nbtool.py check $(NB)

# timm serves the comparison alone, so it is installed only here.
bench: $(TEST) ## Time swinlib beside torchvision and timm, and draw the table (ARGS="--help")
	$(INSTALL) -e '.[bench]'
	$(PY) tools/bench.py $(ARGS)

# The still of lesson 04's explorer, by the same code that draws it live.
EXPLORER = ShiftMaskExplorer(height=8, width=8, window_size=4, shift_size=2, window=3)
picture: $(LAB) ## Draw the README's picture again
	$(PY) -c "from swinlib.lab import setup; from swinlib.lab.widgets import ShiftMaskExplorer; \
	  setup(); $(EXPLORER).save('data/shift_mask_explorer.png')"

lint: $(TEST) ## Check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(TEST) ## Repair style and formatting where that is safe
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

# torch's own metadata pins the CUDA packages it wants, and a CPU-only torch wants none of them.
COMPILE := uv pip compile --universal --python-version 3.10 --upgrade pyproject.toml
PINS = grep -vE '^(nvidia-|cuda-|triton==)'
lock: $(MADE) ## Pin the newest versions that fit pyproject.toml in the requirements files
	$(PY) -m pip install --quiet uv
	$(PY) -m $(COMPILE) --extra test --extra site --quiet --no-header --no-annotate \
	  > $(VENV)/all.txt
	@for extra in lab test site; do \
	  $(PY) -m $(COMPILE) --extra $$extra --quiet --no-header --annotation-style line \
	    --constraint $(VENV)/all.txt | sed -E 's%(-c [^ ]*all.txt, |, -c [^ ]*all.txt)%%' \
	    > $(VENV)/$$extra.txt; done
	@{ echo "# What lessons need. Written by \`make lock\`: $(COMPILE) --extra lab"; \
	  echo "# One file for Python 3.10 and later on Linux, macOS and Windows, without CUDA packages:"; \
	  echo "# torch names those itself where it wants them."; \
	  $(PINS) $(VENV)/lab.txt; \
	  echo '-e .'; } > requirements.txt
	@for extra in test site; do \
	  { echo "# What make $$extra needs beyond it. Written by \`make lock\`: $(COMPILE) --extra $$extra"; \
	    echo '-r requirements.txt'; \
	    sed 's/ *# via.*//' requirements.txt > $(VENV)/lessons.txt; \
	    sed 's/ *# via.*//' $(VENV)/$$extra.txt | grep -vxFf $(VENV)/lessons.txt | $(PINS); \
	  } > requirements-$$extra.txt; done
	@for file in requirements*.txt; do echo "$$file: $$(grep -c == $$file) pins"; done

clean: ## Remove the environment and all caches; your copies, data and trained models stay
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . '(' -name __pycache__ -o -name .ipynb_checkpoints ')' -prune -exec rm -rf {} +

# Installed again only when what is to be installed has changed.
$(LAB): requirements.txt pyproject.toml $(MADE)
	@echo "Installing into $(VENV), once; with torch this takes some minutes."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(TEST): requirements-test.txt $(LAB)
	@$(INSTALL) -r requirements-test.txt
	@touch $@

$(SITE): requirements-site.txt $(LAB)
	@$(INSTALL) -r requirements-site.txt
	@touch $@

# Kept where its Python still runs and has a whole pip; else made from nothing, whatever an interrupt
# or an upgrade of Python has left.
WHOLE = from importlib.metadata import files; raise SystemExit(not files("pip"))
$(MADE):
	@$(PY) -c '$(WHOLE)' 2>/dev/null || { \
	  command -v $(PYTHON) >/dev/null || { \
	    echo "'$(PYTHON)' not found. Install Python 3.10 or later, or name one: make PYTHON=python3.12" >&2; \
	    exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "$$($(PYTHON) --version 2>&1) is too old: the course needs Python 3.10 or later." >&2; \
	    echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' has no venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	    exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV); }
	@echo $(FITS) > $@
