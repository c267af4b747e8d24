# make demo   a page that explains a photograph: build/teaser.html
# make test   the whole suite (ARGS="-k page" for a part of it)
# make lint   ruff, import-linter and mypy
# make reference   docs/reference and docs/mistakes.md, generated from the registry and the codes
# make docs   the documentation site with its live gallery: build/site (DRAFT=1 for quick icons)
# make bench  the benchmarks, with the other tools that can be installed: docs/benchmarks.md (ROWS=linear,... QUICK=1)
# make vscode the extension for VS Code: build/bbi.vsix (needs Node 20 or newer)
# make clean  deletes .venv, build and caches
#
# Each sets up .venv first and reinstalls only when pyproject.toml, constraints.txt or tests/peers.txt changed.
# PYTHON=python3.12 selects a Python other than the first suitable one.

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
CORES := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# Workers of about 1 GB each; they share the cores, since torch would use all of them in every worker.
WORKERS := $(shell echo $$(( $(CORES) < 4 ? $(CORES) : 4 )))
THREADS := $(shell echo $$(( $(CORES) / $(WORKERS) )))

.PHONY: demo test lint fuzz reference docs bench vscode clean

demo: .venv/installed-demo
	@mkdir -p build
	$(BIN)/bbi run specs/teaser.bbi -o build/teaser.html --parents
	@echo "$(CURDIR)/build/teaser.html"

test: .venv/installed-test
	@$(BIN)/python scripts/chromium.py --install
	OMP_NUM_THREADS=$(THREADS) OPENBLAS_NUM_THREADS=$(THREADS) \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=40 --durations-min=5 $(ARGS)

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fuzz: .venv/installed-test
	@$(BIN)/pip install --quiet atheris
	$(BIN)/python scripts/fuzz.py -max_total_time=$(or $(SECONDS_OF_FUZZING),60) -max_len=64

reference: .venv/installed-demo
	@$(BIN)/python -m bbilang.reference

docs: .venv/installed-docs
	@$(BIN)/python scripts/docs.py $(if $(DRAFT),--draft)

# The other tools have a virtual environment of their own, on top of .venv.
bench: .venv-bench/installed
	@ROWS='$(ROWS)' QUICK='$(QUICK)' .venv-bench/bin/python -W ignore -m benchmarks.bench

.venv-bench/installed: benchmarks/peers.txt scripts/bench_venv.sh scripts/no_deps.sh | .venv/installed-demo
	@sh scripts/bench_venv.sh
	@touch $@

.venv/bin/python:
	@sh scripts/venv.sh

.venv/installed-demo: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'installing bbilang and what it needs into .venv (torch is 200 MB or more; some minutes)'
	@$(INSTALL) '.[demo]'
	@touch $@

.venv/installed-test: pyproject.toml constraints.txt tests/peers.txt | .venv/bin/python
	@echo 'installing bbilang, what it needs and what its tests need into .venv (torch is 200 MB or more; some minutes)'
	@$(INSTALL) '.[demo,test,docs]'
	@sh scripts/no_deps.sh $(BIN)/python tests/peers.txt
	@touch $@ .venv/installed-demo .venv/installed-docs

.venv/installed-docs: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'installing bbilang, what it needs and what its documentation needs into .venv (torch is 200 MB or more; some minutes)'
	@$(INSTALL) '.[demo,docs]'
	@touch $@ .venv/installed-demo

vscode:
	@mkdir -p build
	cd editors/vscode && npm install --no-audit --no-fund --no-package-lock --loglevel=error && npm run --silent package
	@echo "$(CURDIR)/build/bbi.vsix"

clean:
	rm -rf .venv .venv-bench build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
