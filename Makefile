# Everything a fresh machine needs: Python 3.11+, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
SIZE ?= 24k
ROWS ?= 1000000
MODE ?= keyed
FIELDS ?= 50
WORKERS ?= 3
FIRMS ?= 8000
CREDIT_DATA ?= examples/default_credit/data

.PHONY: setup demo demo-enterprises bench bench-match bench-credit bench-frames bench-gate bench-risk bench-splits bench-enterprises bench-forgetting bench-console test scenarios check format docs lock clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Cannot make a virtual environment: on Debian run 'apt-get install python3-venv'." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: $(STAMP)  ## The main job on synthetic people; SIZE=3k for the short one, SERVE=1 to look around afterwards.
	$(BIN)/silhouette demo --size $(SIZE) $(if $(SERVE),--serve)

demo-enterprises: $(STAMP)  ## A bank, a platform and a utility judge synthetic firms together: FIRMS=8000.
	$(BIN)/silhouette-node sample enterprises demo/enterprises --firms $(FIRMS)
	$(BIN)/silhouette run demo/enterprises/job.toml

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench && touch $@ || \
	  echo "The peers cannot be installed here: their rows will say so." >&2

bench: $(BENCH_STAMP)  ## Against other libraries: QUICK=1, ONLY=paillier,matching SIZES=10M FULL_PEERS=1.
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(SIZES),--sizes $(SIZES)) $(if $(FULL_PEERS),--full-peers)

bench-match: $(STAMP)  ## Matching over real Flower: ROWS=1000000 MODE=keyed.
	$(BIN)/python -m benchmarks.matching_over_flower --rows $(ROWS) --mode $(MODE)

bench-credit: $(STAMP)  ## 64 trees of depth 6 over real Flower; CREDIT_DATA names the folder of the two files.
	$(BIN)/python -m benchmarks.default_credit_over_flower --data $(CREDIT_DATA)

bench-frames: $(STAMP)  ## A sealed frame and its answer through the coordinator's relay.
	$(BIN)/python -m benchmarks.frames_over_relay

bench-console: $(STAMP)  ## The console under a hundred users, on both databases: SECONDS=60 ONLY=sqlite.
	$(BIN)/python -m benchmarks.console_load $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY))

bench-risk: $(STAMP)  ## Scorecard and boosting on public data over real Flower: ONLY=scorecard,boosting_20x5.
	$(BIN)/python -m benchmarks.risk_over_flower $(if $(ONLY),--only $(ONLY))

bench-splits: $(STAMP)  ## Our trees beside scikit-learn's over ten splits; CREDIT_DATA names the folder.
	$(BIN)/python -m benchmarks.boosting_splits --data $(CREDIT_DATA)

bench-gate: $(STAMP)  ## What the gate costs beside a job: ROWS=1000000 FIELDS=50.
	$(BIN)/python -m benchmarks.gate --rows $(ROWS) --fields $(FIELDS)

bench-forgetting: $(STAMP)  ## Forgetting beside training, by kind of model: PEOPLE=6000.
	$(BIN)/python -m benchmarks.forgetting $(if $(PEOPLE),--rows $(PEOPLE))

bench-enterprises: $(STAMP)  ## What joined data tells about synthetic firms: FIRMS=8000.
	$(BIN)/python -m benchmarks.enterprises --firms $(FIRMS)

# Files keep their order: the deployment tests, which mostly wait, come first and beside each other, so that one
# worker more than there are cores keeps the cores busy.
SHARED_OUT := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(STAMP)  ## The whole test suite: WORKERS=3 processes share it out file by file, 0 for none.
	$(BIN)/python -m pytest $(SHARED_OUT)

scenarios: $(STAMP)  ## The acceptance scenarios alone: how many of them hold.
	$(BIN)/python -m pytest $(SHARED_OUT) tests/scenarios

check: $(STAMP)  ## Style, types, layering.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## docs/pipl.md, from docs/controls.toml and the code.
	$(BIN)/python tests/controls.py

lock: $(STAMP)  ## Write constraints.txt from what is installed.
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^silhouette' > constraints.txt

clean:
	rm -rf $(VENV) demo runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
