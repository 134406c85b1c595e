# Everything a newcomer needs: make run, make test, make check.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test faults bench lint check docs format lock clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/runtime: requirements/bootstrap.txt requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/runtime requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

run: .venv/runtime ## Start the market with demo data on http://127.0.0.1:8000
	@SHUGANG_DEMO=true $(BIN)/shugang serve

# Files are kept in memory where it has room: on a disk the tests wait a third of their time for it.
test: .venv/dev ## Run every test on SQLite and PostgreSQL, with a real S3 server, queue and browser
	@room=$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1); \
	if [ "$${room:-0}" -gt 8000000 ]; then export TMPDIR="$${TMPDIR:-/dev/shm}"; fi; \
	$(BIN)/python -m pytest -n 6 --dist loadfile --no-loadscope-reorder --ignore=tests/faults

faults: .venv/dev ## Kill servers and gateways at bad moments and count what is left (eight minutes)
	@$(BIN)/python -m pytest tests/faults

.venv/bench: .venv/dev requirements/bench.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	@touch $@

bench: .venv/bench ## Measure ours beside the references (wrk, nginx and curl from the system) and print the ratios
	@$(BIN)/python -m benchmarks

lint: .venv/dev ## Lint, format, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint ## The same and the other laws of the house, which are among the tests
	@$(BIN)/python -m pytest tests/house

docs: .venv/dev ## Write the pages that follow from the code (settings, problems, states, permissions, glossary)
	@$(BIN)/python -m docs.generate

format: .venv/dev ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Resolve the dependencies again and write the lock files (hashes, no index host)
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 pyproject.toml requirements/build.in -o requirements/runtime.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 --group bench -c requirements/runtime.txt -c requirements/dev.txt -o requirements/bench.txt

clean: ## Remove the environment; data under var/ stays
	@rm -rf .venv
