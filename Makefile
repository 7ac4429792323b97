# Two commands do all the set-up: `make demo` (the whole loop on the tiny profile) and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# one thread a process: two torch threads on one shared core were 13 times slower
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
# every door calls `python`: it must be this environment's
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test check bench smoke tiny-base lock clean help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "actial: error: $(PYTHON) is not on the PATH: install Python 3.11 (bpy wheels exist for no other), or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-}}" $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.installed  ## the whole loop on the tiny profile: scenes, questions, SFT, GRPO, scores, report
	@$(BIN)/python -m flows.demo

test: $(VENV)/.installed  ## lint, types, the whole suite
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

check: $(VENV)/.installed  ## the quick loop: lint, types, tests that take less than ten seconds each
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q -m "not slow" -x

smoke: $(VENV)/.installed  ## the flow once on the smoke profile with Blender pictures, in a scratch clone, outputs asserted
	$(BIN)/python -m pytest -q tests/smoke.py

bench: $(VENV)/.installed  ## every benchmark: ratios against a peer or a floor measured in the same run
	@missed=; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || missed="$$missed $$script"; done; \
	test -z "$$missed" || { echo "a limit was missed in:$$missed"; exit 1; }

# scenes of a seed of their own, then the schooling; what comes out belongs into assets/tiny-base, its checksum into the profiles
tiny-base: $(VENV)/.installed  ## make the tiny base anew in runs/tiny-base/model (rendering 12 minutes on two cores, schooling 80 on one)
	mkdir -p runs/tiny-base/data/assets runs/tiny-base/data/captures && cp dvc.yaml runs/tiny-base/ && ln -sfn $(CURDIR)/actial $(CURDIR)/tasks runs/tiny-base/
	sed -e 's/^seed: .*/seed: 1007/' -e 's/n_scenes: .*/n_scenes: 5000/' -e 's/views_per_scene: .*/views_per_scene: 4/' profiles/tiny.yaml > runs/tiny-base/params.yaml
	cd runs/tiny-base && ACTIAL_TRACKING=off $(CURDIR)/$(BIN)/python -m tasks.render_views
	$(BIN)/python -m actial.models.pretraining runs/tiny-base/model --params profiles/tiny.yaml --views runs/tiny-base/outputs/render_views/views

lock: $(VENV)/.installed  ## compile requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock
	@sed -i -E 's/\+cpu$$//' requirements.lock

clean:  ## what the pipeline made here (outputs, scratch, tracking); not the environment, not DVC's cache
	rm -rf outputs runs mlruns mlflow.db
