# Everything runs in a virtual environment of its own; PYTHON may name another interpreter of 3.11 or later.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo cards torture test slow check lint types imports leaderboard docs tutorials wheel install clean

## The main job on embedded real patients: TUSA and the baselines, within one dataset and from one to another.
demo: $(VENV)/.installed
	$(BIN)/usbench run -e tusa -e tusa.random -e texture -e pixels \
	  -t breast_lesion -t breast_transfer --data subset --results runs/demo

## The pages and the Croissant metadata of all datasets, from the readers' cards and datasheets.
cards: $(VENV)/.installed
	for name in $$($(BIN)/python -c "import usbench_tasks; print(*usbench_tasks.DATASETS)"); do \
	  $(BIN)/usbench data show $$name --as markdown > tasks/cards/$$name.md && \
	  $(BIN)/usbench data show $$name --as croissant > tasks/cards/$$name.json || exit 1; done

## An hour of kills, flipped bits, full disks and hostile files; SECONDS is for each of its tests.
SECONDS ?= 400
torture: $(VENV)/.installed
	USBENCH_TORTURE_SECONDS=$(SECONDS) USBENCH_TORTURE_REPORT=torture.jsonl $(BIN)/pytest -q tests/torture

## The tests: style, types, import directions, quick and slow suites, and the pages against the results.
test: $(VENV)/.installed check
	$(BIN)/pytest -q -n 2 -m "not slow"
	$(BIN)/pytest -q -n 2 -m slow

slow: $(VENV)/.installed
	$(BIN)/pytest -q -n 2 -m slow

check: lint types imports leaderboard docs

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy usbench tusa encoders/usbench_encoders tasks/usbench_tasks

imports: $(VENV)/.installed
	$(BIN)/lint-imports

leaderboard: $(VENV)/.installed
	USBENCH_PYTHON=$(abspath $(BIN))/python bash .ci/drift

## The site as it is published: the boards in site/, the documentation, built strictly, in site/docs/.
docs: $(VENV)/.installed
	USBENCH_PYTHON=$(abspath $(BIN))/python bash .ci/site site --docs docs/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

## Run the tutorials and write what they print into their pages.
tutorials: $(VENV)/.installed
	$(BIN)/python docs/_site/tutorials.py

## The wheel, installed by itself into a fresh environment, runs the README's first comparison; packages are those of VENV.
wheel: $(VENV)/.installed
	$(BIN)/python .ci/check_wheel.py --dependencies $(VENV)

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache
