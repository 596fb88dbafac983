# The two doors of this repository: `make demo` shows memviz at work, `make test` checks all of it.
# Both build .venv on first use and need nothing but Python >= 3.11.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN    := $(VENV)/bin

.PHONY: demo install install-test test quick bench screenshots clean

demo: install                     ## train a DNC on the copy task and watch its memory in the browser
	$(BIN)/memviz demo copy $(ARGS)

install: $(VENV)/.installed       ## memviz itself, in .venv

install-test: $(VENV)/.installed-test   ## memviz, the test tools, the third-party models and a browser

test: install-test                ## formatting, lint, types, the suite, the browser tests, the docs test
	BIN=$(BIN) MEMVIZ_REQUIRE_BROWSER=1 bash scripts/check.sh

quick: install-test               ## the same without what is slow or needs a browser
	BIN=$(BIN) bash scripts/check.sh -m "not slow and not browser"

bench: install-test               ## every benchmark, with the bar it is held against
	$(BIN)/pip install -q -e '.[bench]' -c constraints.txt
	BIN=$(BIN) bash scripts/bench.sh

screenshots: install-test         ## the pictures in docs/, from real runs
	$(BIN)/python scripts/screenshots.py
	$(BIN)/python scripts/visdom_screenshot.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"memviz needs Python >= 3.11, this is {sys.version.split()[0]}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.pip pyproject.toml setup.py constraints.txt
	PYTHONWARNINGS=ignore $(BIN)/pip install -q -e . -c constraints.txt
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed build-constraints.txt tests/thirdparty.txt
	PYTHONWARNINGS=ignore PIP_BUILD_CONSTRAINT=build-constraints.txt $(BIN)/pip install -q -e '.[test]' -c constraints.txt
	$(BIN)/pip install -q --no-deps -r tests/thirdparty.txt
	bash scripts/install_chromium.sh
	$(BIN)/python scripts/fetch_visdom_assets.py
	$(BIN)/python scripts/fetch_axe.py
	touch $@
