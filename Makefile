# Everything here needs a Python from 3.11 on and nothing else: the first target that is asked
# for makes .venv and installs the pinned packages into it. Say PYTHON=... to choose the Python,
# JOBS=... for the number of test processes. Many tests wait: below eight cores there are two for each.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PYTHON :=
JOBS := $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 8 ? 2 * n : n)))
PYTEST := $(BIN)/python -m pytest -q
# Tests run where there is a free process; those of one xdist_group share it and what they made.
PARALLEL := -n $(JOBS) --dist loadgroup

# Idle OpenMP threads would otherwise spin and slow down every other process.
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 0
# The tests start hundreds of Pythons; without __pycache__ each would compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench proof screenshots story gpu clean

help:
	@echo "make demo    simulate a small session and process it, in the app where there is a terminal"
	@echo "make test    all tests but those for a GPU"
	@echo "make check   formatting, lint, types, import contracts, quick tests"
	@echo "make docs    the pages of docs/ as a site in build/docs; fails on a broken link"
	@echo "make bench   the measurements of docs/science/benchmarks.md"
	@echo "make proof   simulated movies through warptui into RELION, judged by the true map (ten minutes of CPU)"
	@echo "make screenshots  the pictures of the documentation, by the app itself"
	@echo "make story   a whole night in tmux at three sizes, every pane kept in build/story (half an hour)"
	@echo "make gpu     a CUDA device against the CPU: the tests that need one, the time of every stage, a retraining"
	@echo "make clean   remove .venv, the demo, caches"

demo: $(STAMP)
	@$(BIN)/warptui demo demo

test: $(STAMP)
	$(PYTEST) $(PARALLEL) -m "not gpu"

check: $(STAMP)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(PYTEST) $(PARALLEL) -m "not slow and not gpu"

docs: $(STAMP)
	$(BIN)/python -m docs.generate --check
	$(BIN)/zensical build --clean --strict --config-file mkdocs.yml
	@echo "open build/docs/index.html"

bench: $(STAMP)
	$(BIN)/python benchmarks/motion.py
	$(BIN)/python benchmarks/ctf.py --full
	$(BIN)/python benchmarks/ctf_peer.py
	$(BIN)/python benchmarks/picking.py
	PYTHONPATH=. $(BIN)/python benchmarks/app.py
	$(BIN)/python benchmarks/selection.py

proof: $(STAMP)
	$(BIN)/python benchmarks/relion_proof.py

screenshots: $(STAMP)
	LANG=C.UTF-8 COLORTERM=truecolor PYTHONPATH=. $(BIN)/python benchmarks/screenshots.py docs/pictures

story: $(STAMP)
	for size in 80x24 120x40 200x60; do PYTHONPATH=. $(BIN)/python benchmarks/story.py --size $$size || exit 1; done

gpu: $(STAMP)
	$(PYTEST) -m gpu
	$(BIN)/python benchmarks/gpu.py --retrain

clean:
	rm -rf $(VENV) demo build .cache *.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache .grimp_cache snapshot_report.html
	find . -name __pycache__ -prune -exec rm -rf {} +

# A .venv that was moved, whose Python went or whose installation was interrupted is made anew.
$(STAMP): pyproject.toml constraints.txt
	@set -e; found=; \
	if [ -e $(VENV)/unfinished ] || ! $(BIN)/python -c "import pip" 2>/dev/null; then rm -rf $(VENV); fi; \
	if [ ! -e $(VENV) ]; then \
	    for candidate in $(PYTHON) $(if $(PYTHON),,python3 python3.13 python3.12 python3.11 python3.14); do \
	        if "$$candidate" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; \
	        then found=$$candidate; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "warptui needs Python 3.11 or newer; found: $$($(or $(PYTHON),python3) --version 2>&1 | head -1)." >&2; \
	        echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; fi; \
	    if ! "$$found" -c "import venv, ensurepip" 2>/dev/null; then \
	        echo "$$found cannot make environments: install its venv package (Debian, Ubuntu: python3-venv)." >&2; \
	        exit 2; fi; \
	    echo "making $(VENV) with $$("$$found" --version)"; \
	    "$$found" -m venv $(VENV); fi; \
	echo "installing the packages of constraints.txt (once; a few minutes)"; \
	touch $(VENV)/unfinished; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"; \
	rm $(VENV)/unfinished
	@touch $@
