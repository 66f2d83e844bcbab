# Two commands for a fresh machine: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

LOCK := requirements/ci.txt
LABGRID := .venv-labgrid
LABGRID_LOCK := requirements/labgrid.txt

.PHONY: demo test check compiled clean help locked lock labgrid man docs dist bundle

# tests start many processes, and each would compile all of edl anew
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make demo   set up, and bring a virtual phone back to life"
	@echo "make test   set up, and run all checks and tests"
	@echo "make docs   set up, and make the documentation in docs/_build/html"
	@echo "make dist   build what is released, and try it (docs/releasing.md)"
	@echo "make bundle one folder with all that edl needs, for computers without Python"
	@echo "make clean  remove what these made"
	@echo "make locked set up with exactly the files of $(LOCK), as continuous integration does"
	@echo "make lock   renew $(LOCK) and $(LABGRID_LOCK)"
	@echo "make labgrid  set up $(LABGRID), with which the tests of docs/lab.md run"
	@echo "make man    make the manual pages in man/ anew, and edl/data/json-lines.schema.json"

define new_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edl needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python lacks venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once; needs the Python package index)"
	@$(PYTHON) -m venv $(VENV)
endef

$(STAMP): setup.cfg pyproject.toml
	$(new_venv)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(STAMP)

# Every file by its hash, and nothing that would run code to be built.
locked:
	$(new_venv)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# The newest versions that setup.cfg allows, for all systems and every Python that edl supports.
lock: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" --extra dev --output-file $(LOCK) setup.cfg requirements/ci.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" --output-file $(LABGRID_LOCK) requirements/labgrid.in

# An environment of its own: labgrid's fork of pyserial would take the place of edl's pyserial.
labgrid:
	@$(PYTHON) -m venv $(LABGRID)
	@$(LABGRID)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $(LABGRID_LOCK)

# What is made from the commands and from docs/json.md, and kept: a test says when it is stale.
man: $(STAMP)
	@$(BIN)/python -m tests.docs.make_man
	@$(BIN)/python -m tests.docs.make_schema

demo: $(STAMP)
	@$(BIN)/python tests/demo.py

check: $(STAMP)
	$(BIN)/ruff format --check edl tests loaders docs
	$(BIN)/ruff check edl tests loaders docs
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell edl tests docs loaders README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md

# Compiles the tests once, before several workers do; what is wrong with them, they say later.
compiled: $(STAMP)
	@$(BIN)/pytest -qq --collect-only >/dev/null 2>&1 || true

test: $(STAMP)
	@$(MAKE) --no-print-directory --jobs=2 check compiled
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n auto --dist worksteal
	@$(BIN)/coverage combine --quiet
	$(BIN)/python tests/coverage_gate.py

docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# From a clean copy of what is committed: nothing that lies about gets into it.
dist: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[ship]"
	rm -rf build/source dist
	@mkdir -p build/source
	git archive HEAD | tar --extract --directory build/source
	$(BIN)/python -m build --outdir dist build/source >/dev/null
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(PYTHON) -m venv --clear build/fresh
	build/fresh/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/fresh/bin/python tests/demo.py build/fresh/bin/edl

bundle: dist
	$(BIN)/pyinstaller --noconfirm --log-level WARN --onedir --name edl \
		--collect-submodules edl --collect-data edl \
		--add-data "$(CURDIR)/edl/data/nbdkit_plugin.py:edl/data" \
		--collect-all libusb_package --copy-metadata edl-recovery \
		--add-data "$(CURDIR)/loaders/prog_*_test.*:share/edl/loaders" \
		--distpath dist --workpath build/bundle --specpath build edl/__main__.py
	$(PYTHON) tests/demo.py dist/edl/edl

clean:
	rm -rf docs/_build $(VENV) $(LABGRID) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
