# `make run` and `make test` do all the set-up on a fresh machine (Python >= 3.11, Node >= 20.19).

PYTHON ?= python3
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= data
FUZZ_SECONDS ?= 300
CRASH_ROUNDS ?= 1000
TEST_PROCESSES ?= 4

TEST_PACKAGES := $(patsubst %,tests/%/node_modules/installed,interop browser services)

.PHONY: run install web test check lint fuzz soak bench bench-store bench-trace clean

run: install web
	@$(BIN)/costudio serve --dev --host $(HOST) --port $(PORT) --data-dir $(DATA_DIR)

install: .venv/installed
web: web/dist/index.html

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

web/node_modules/installed: web/package.json web/package-lock.json
	npm ci --prefix web --no-audit --no-fund --silent
	@touch $@

client/node_modules/installed: client/package.json client/package-lock.json
	npm ci --prefix client --no-audit --no-fund --silent
	@touch $@

# The page takes the client's sources as they are.
web/dist/index.html: web/node_modules/installed web/index.html web/vite.config.ts web/tsconfig.json $(shell find web/src client/src -type f)
	npm run build --prefix web --silent
	@touch $@

tests/%/node_modules/installed: tests/%/package.json tests/%/package-lock.json
	npm ci --prefix tests/$* --no-audit --no-fund --silent
	@touch $@

test: install web client/node_modules/installed $(TEST_PACKAGES)
	npm test --prefix client --silent
	npm test --prefix web --silent
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal

lint: install web client/node_modules/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run check --prefix client --silent
	npm run check --prefix web --silent

check: lint test

fuzz: install
	$(BIN)/python -m tests.fuzz.update_fuzzer --seconds $(FUZZ_SECONDS)

# kill -9, so many times on each database (40 in `make test`), and now and then of PostgreSQL itself.
soak: install $(TEST_PACKAGES)
	CRASH_ROUNDS=$(CRASH_ROUNDS) $(BIN)/python -m pytest -s tests/crdt_store/test_crash.py

# BENCH_ARGS: `--help` says which. The peers need no scripts of their packages, so none are run.
bench: install .venv/installed-bench bench/peers/node_modules/installed
	@$(BIN)/python -m bench.load.compare $(BENCH_ARGS)

.venv/installed-bench: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

bench/peers/node_modules/installed: bench/peers/package.json bench/peers/package-lock.json
	npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --silent
	@touch $@

bench-store: install
	$(BIN)/python -m bench.store acks
	$(BIN)/python -m bench.store curve

bench-trace: install tests/interop/node_modules/installed
	$(BIN)/python -m bench.trace_replay

clean:
	rm -rf .venv client/node_modules client/dist web/node_modules web/dist tests/*/node_modules bench/peers/node_modules bench/results .mypy_cache .ruff_cache .pytest_cache .hypothesis
