# One command each. `make demo PROFILE=dev` compiles faster and runs slower.
PROFILE ?= release
CARGO ?= cargo

# Cargo's name for a profile and the name of its directory differ for one profile.
PROFILE_DIR = $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# The programs that tests start; built once, before them.
TEST_BIN_DIR = $(TARGET_DIR)/debug

# What the tests use besides Rust is installed here.
TOOLS = $(TARGET_DIR)/test-tools
TEST_ENV = BATON_TEST_DOCKER=required BATON_BIN_DIR="$(TEST_BIN_DIR)" BATON_TEST_PYTHON="$(wildcard $(TOOLS)/python/bin/python)" \
  BATON_TEST_PROMETHEUS="$(wildcard $(TOOLS)/prometheus/usr/bin/prometheus)" \
  BATON_TEST_TOOLS="$(TOOLS)"

.DEFAULT_GOAL := help
.PHONY: help build dist demo test setup chaos soak upgrade fuzz bench bench-backlog bench-retention bench-peers bench-growth lint docs deny sim instructions instructions-renew unit fmt clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

build: ## the programs: target/release/{baton,gateway,scheduler,worker}
	$(CARGO) build --profile $(PROFILE) --bins

dist: ## target/dist/baton as packages have it: one small program, compiled for the work that it was seen to do
	@CARGO="$(CARGO)" scripts/dist.sh "$(TARGET_DIR)"

demo: ## three services and two workers, a batch over real files, the scheduler killed in the middle
	$(CARGO) build --profile $(PROFILE) --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/$(PROFILE_DIR)" "$(TARGET_DIR)/$(PROFILE_DIR)/demo"

# The test runner comes last: its closing line is the verdict.
test: setup lint docs deny sim instructions ## installs what the tests need, and runs everything that must hold
	@$(MAKE) --no-print-directory unit

setup: ## what the tests use besides Rust, as far as it can be installed
	@scripts/setup.sh "$(TOOLS)"

# `make chaos ROWS="kill-scheduler all-killed --times 3"` runs some of them.
ROWS ?=
chaos: ## real faults against the real programs: kills, stops, partitions, floods; one line of JSON a row
	$(CARGO) build --profile $(PROFILE) --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/$(PROFILE_DIR)" "$(TARGET_DIR)/$(PROFILE_DIR)/chaos" $(ROWS)

HOURS ?= 2
soak: ## HOURS=2 of load with faults, and a plot of what could grow
	$(CARGO) build --profile $(PROFILE) --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/$(PROFILE_DIR)" "$(TARGET_DIR)/$(PROFILE_DIR)/chaos" soak --times $(shell awk 'BEGIN { print int($(HOURS) * 360) }')

# The last release before this commit; without one, the commit before.
BASE ?= $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null || git rev-parse HEAD^)
upgrade: ## BASE=<revision>: its programs and store together with these, in every order
	@git worktree remove --force "$(TARGET_DIR)/upgrade/source" 2>/dev/null || true
	git worktree add --quiet --force --detach "$(TARGET_DIR)/upgrade/source" $(BASE)
	cd "$(TARGET_DIR)/upgrade/source" && CARGO_TARGET_DIR="$(TARGET_DIR)/upgrade/target" $(CARGO) build --quiet --bins -p gateway -p scheduler -p worker
	git worktree remove --force "$(TARGET_DIR)/upgrade/source"
	$(CARGO) build --quiet --workspace --bins
	$(TEST_ENV) BATON_OLD_BIN_DIR="$(TARGET_DIR)/upgrade/target/debug" $(CARGO) test -p e2e --test upgrade

FUZZ_SECONDS ?= 120
fuzz: ## each target for FUZZ_SECONDS=120; what it finds belongs into fuzz/seeds
	@for target in engine segment spool keeper worker_message spec; do mkdir -p fuzz/corpus/$$target; \
	  (cd fuzz && RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir . $$target corpus/$$target seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1) || exit 1; done

bench: ## tasks a second and latency, with the real programs
	$(CARGO) build --release --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/release" "$(TARGET_DIR)/release/floor"

MILLIONS ?= 1
bench-backlog: ## an array and distinct tasks queued, MILLIONS=1 of each: submit, memory, restart, every verb
	$(CARGO) build --release --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/release" "$(TARGET_DIR)/release/backlog" $(MILLIONS) $(MILLIONS)

bench-retention: ## MILLIONS=1 of finished tasks deleted while others are submitted
	$(CARGO) build --release --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/release" "$(TARGET_DIR)/release/retention" $(MILLIONS)

ROUNDS ?= 5
SCALE ?= 1
bench-peers: ## the same work on beanstalkd, NATS, graphile-worker, BullMQ and xargs in turn; medians of ROUNDS=5
	$(if $(filter dist,$(PROFILE)),$(MAKE) --no-print-directory dist,$(CARGO) build --profile $(PROFILE) --bin baton)
	@bench/peers/setup.sh "$(TARGET_DIR)/bench-tools"
	@BATON_BIN_DIR="$(TARGET_DIR)/$(PROFILE_DIR)" PEERS_TOOLS="$(TARGET_DIR)/bench-tools" PEERS_DIR="$(TARGET_DIR)/bench-peers" \
	  PEERS_JSON="$(TARGET_DIR)/bench-peers.json" ROUNDS=$(ROUNDS) SCALE=$(SCALE) node bench/peers/run.mjs

# `make bench-growth GROWTH="workers=100 queued=100000 watchers=0"` is smaller.
GROWTH ?=
bench-growth: ## how cost grows: 1 to 1,000 workers, 1,000 to 10 million tasks queued, 1 to 1,000 watchers
	$(CARGO) build --release --bins
	@BATON_BIN_DIR="$(TARGET_DIR)/release" "$(TARGET_DIR)/release/growth" "$(TARGET_DIR)/growth.svg" $(GROWTH)

lint: ## formatting and clippy
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

# Help texts are documentation comments and may name URLs as they are.
docs: ## the reference builds without a warning
	RUSTDOCFLAGS="-D warnings -A rustdoc::bare_urls" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

deny: ## licences, banned crates, sources
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --offline --log-level error check licenses bans sources; \
	else echo "skipped: cargo-deny is not installed"; fi

SEEDS ?= 20000
sim: ## the simulated cluster, SEEDS=20000 of them, and every planted bug, which it must find
	$(CARGO) build --quiet --release -p sim
	$(TARGET_DIR)/release/sim --seeds $(SEEDS)
	$(TARGET_DIR)/release/sim --plants

instructions: ## instructions a task: at most 10 % more than scripts/instructions.txt says
	@CARGO="$(CARGO)" scripts/instructions.sh check

instructions-renew: ## takes them as they are now
	@CARGO="$(CARGO)" scripts/instructions.sh renew

unit: ## all tests, with the real programs
	$(CARGO) build --quiet --workspace --bins --examples
	@if $(CARGO) nextest --version >/dev/null 2>&1; then set -x; $(TEST_ENV) $(CARGO) nextest run --workspace; \
	else set -x; $(TEST_ENV) $(CARGO) test --workspace; fi

fmt: ## formats everything
	$(CARGO) fmt --all

clean: ## forgets all that was built
	$(CARGO) clean
