# make demo   ask three questions of the demo video
# make test   lint, types, who may import whom, all tests
PYTHON ?= python3
BIN := .venv/bin
DEMO_LIBRARY := .demo

.PHONY: help install models demo score-demo test ui clean
help:
	@sed -n '1,2p' Makefile
	@echo "make score-demo   answer all questions of the demo video and score them"
	@echo "make ui     open the page; make ui ARGS=--mcp also serves tools to MCP clients"

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "installing into .venv: about 8 GB and a few minutes, once"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

models: install
	$(BIN)/reelgraph models get

demo: models
	$(BIN)/python examples/demo.py --set library=$(DEMO_LIBRARY)

score-demo: models
	$(BIN)/python examples/score.py --set library=$(DEMO_LIBRARY)

test: models
	$(BIN)/reelgraph models get smollm2-135m
	$(BIN)/reelgraph models get all-MiniLM-L6-v2
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -n 2

ui: models
	$(BIN)/python app.py $(ARGS)

clean:
	rm -rf .venv .demo build *.egg-info
