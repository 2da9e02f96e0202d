# Thin verbs; what they do is in scripts/ and crates/titan-cli.
.DEFAULT_GOAL := help
.PHONY: help demo dev up down build test simulate chaos upgrade bench bench-storage bench-mainjob check images

export CARGO_TERM_PROGRESS_WHEN ?= auto
HOME_UP := $(if $(TITAN_HOME),$(TITAN_HOME),$(CURDIR)/.run/titan)

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

build: ## Build everything (debug)
	cargo build --workspace

demo: ## Install what is missing, build, and turn one sentence into a running app; stops everything after
	@scripts/servers.sh tools
	@cargo build --workspace
	@target/debug/titan demo

dev: ## All five services in one process on a private PostgreSQL, until Ctrl-C
	@scripts/servers.sh tools
	@cargo build --workspace
	@target/debug/titan dev

up: ## The five services as eight processes on PostgreSQL, RabbitMQ and Redis, in the background
	@scripts/servers.sh start
	@cargo build --workspace
	@scripts/up.sh start $(HOME_UP)

down: ## Stop what `make up` started
	@scripts/up.sh stop $(HOME_UP)
	@scripts/servers.sh stop

test: ## Every test, against real PostgreSQL, RabbitMQ and Redis
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest
	cargo build --workspace
	@scripts/servers.sh browser
	@scripts/servers.sh with cargo nextest run --workspace

simulate: ## The engine under a virtual clock, SIM_SEEDS (a million) seeded worlds; SIM_SEED=n plays one again and tells what it does
	SIM_SEEDS=$${SIM_SEEDS:-1000000} cargo test --release -p titan-orchestrator --lib whatever_breaks -- --nocapture

chaos: ## Kill, cut off, pause and restart everything under load for CHAOS_SECONDS (300), then check the history; the last line is JSON
	cargo build --workspace
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-300} scripts/servers.sh with cargo nextest run --workspace -E 'test(chaos::)' --no-capture
	@cat target/debug/chaos.json

bench: ## Build release and measure the task engine (BENCH_SECONDS=60); the table goes to docs/benchmarks.md too
	@scripts/servers.sh tools
	cargo build --workspace --release
	@scripts/servers.sh with target/release/titan-bench --page docs/benchmarks.md

upgrade: ## Build the last release too (LAST_RELEASE) and replace its processes by these, and back, under load
	@scripts/servers.sh with scripts/upgrade.sh

bench-storage: ## Measure the engine with a snapshot held for five times BENCH_SECONDS (60), and with ten million finished tasks
	cargo build --workspace --release
	@BENCH_PEERS=0 scripts/servers.sh with target/release/titan-bench --only snapshot,history

bench-mainjob: ## Measure the main job: from a sentence to a living app, many at once, and BENCH_CHANGES (30) changes under load
	@scripts/servers.sh tools
	cargo nextest run --workspace -E 'test(evaluation::)'
	cargo build --workspace --release
	@scripts/servers.sh with target/release/titan-bench --main-job --page docs/main-job.md

check: ## Format and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

images: ## Build the container image of every service (needs a container engine)
	for name in gateway orchestrator agent-worker deployment monitoring titan; do \
	  docker build -f docker/Dockerfile --target $$name -t titanforge/$$name . || exit 1; done
