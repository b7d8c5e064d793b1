# What people and CI run. Everything uses the dev profile of Cargo.toml, so that the dependency tree is compiled
# once for all of it, and keeps it outside the checkout, so that every clone on this machine shares it.
# A machine with Rust, a C compiler, make and Python 3 is enough.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cordada
export CARGO_TARGET_DIR ?= $(CACHE)/target
CORDADA := $(CARGO_TARGET_DIR)/debug/cordada

CUSTOMERS ?= 5000
BENCH ?= all
CUTS ?= 100
FUZZ ?= csv json wal pgoutput
# Those with the server, and so DataFusion, behind them.
FUZZ_SERVER := flight values sql token
SECONDS ?= 60

# One virtual environment for each state of a requirements file.
venv = $(CACHE)/venv-$(shell cksum < $(1) | cut -d ' ' -f 1)
TEST_VENV := $(call venv,tests/python/requirements.txt)
BENCH_VENV := $(call venv,bench/requirements.txt)

DENY := $(CACHE)/tools/cargo-deny@0.20.2
FUZZER := $(CACHE)/tools/cargo-fuzz@0.13.2

COLD := the first build compiles the dependencies: about 20 minutes on 2 cores, once
TREE = $(if $(wildcard $(CORDADA)),,; $(COLD))

.PHONY: help demo test cuts lint advisories fmt fuzz bench

help:
	@echo "make demo    generate a company, land it, build it, export a campaign (CUSTOMERS=$(CUSTOMERS))"
	@echo "make test    every test: Rust, and end to end with real clients"
	@echo "make cuts    kill and cut the power of every command (CUTS=$(CUTS) each), and try what runs beside each other in every order"
	@echo "make lint    formatting, clippy, documentation, and the licences and sources of dependencies"
	@echo "make advisories    dependencies that are known to be vulnerable (asks github.com)"
	@echo "make fmt     format the code"
	@echo "make fuzz    any bytes into the parsers, SECONDS=$(SECONDS) each (FUZZ=\"$(FUZZ)\"; $(FUZZ_SERVER) too, after a long build)"
	@echo "make bench   side by side with peers; writes docs/benchmarks.md (BENCH=land,rest,upsert,serve for a part)"

demo:
	@echo "==> Building Cordada, then a demo company of $(CUSTOMERS) customers in ./colmado: about 30 seconds$(TREE)."
	cargo build --locked
	$(CORDADA) demo --dir colmado --customers $(CUSTOMERS)

test: $(TEST_VENV)/complete
	@echo "==> Servers for the tests: PostgreSQL, MariaDB, Tryton, Vendure, SAP CAP; the first time about 5 minutes."
	PYTHONPATH=tests/python $(TEST_VENV)/bin/python -m servers install
	@echo "==> Drivers for the tests: JDBC, arrow-go; the first time about 2 minutes."
	CORDADA=$(CORDADA) PYTHONPATH=tests/python $(TEST_VENV)/bin/python -m drivers install
	@echo "==> Running the Rust tests, then the end-to-end tests: below 20 minutes$(TREE)."
	cargo test --locked --workspace
	CORDADA=$(CORDADA) $(TEST_VENV)/bin/python -m pytest -p no:cacheprovider tests/python

# The power is cut where there are root, FUSE and loop devices; elsewhere that is skipped, loudly.
cuts: $(TEST_VENV)/complete
	@echo "==> Killing, and cutting the power, $(CUTS) times for each command: about a minute for each time$(TREE)."
	cargo build --locked
	CORDADA=$(CORDADA) CUTS=$(CUTS) $(TEST_VENV)/bin/python -m pytest -p no:cacheprovider -rs -s tests/python/test_exactly_once.py
	@echo "==> Trying orders of actors: about an hour."
	INTERLEAVINGS=2,20000 cargo test --locked -p cordada-ingest --test interleavings -- --nocapture

lint: $(DENY)/complete
	@echo "==> Checking formatting and clippy: about a minute; the first time 5, to check the dependencies."
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@echo "==> Checking the documentation: about a minute."
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --workspace --locked
	@echo "==> Checking licences and sources of dependencies: a few seconds."
	$(DENY)/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources

advisories: $(DENY)/complete
	@echo "==> Asking github.com for advisories: a few seconds."
	$(DENY)/bin/cargo-deny --locked check advisories

fmt:
	@echo "==> Formatting the code: a second."
	cargo fmt --all

# What is found is in fuzz/artifacts; it belongs into the unit tests of the parser's `fuzzing`.
fuzz: $(FUZZER)/complete
	@echo "==> Fuzzing $(FUZZ), $(SECONDS) seconds each; the first time about 15 minutes, to compile the parsers instrumented."
	@for target in $(FUZZ); do \
		echo "==> $$target"; \
		mkdir -p fuzz/corpus/$$target; \
		$(FUZZER)/bin/cargo-fuzz run --dev --sanitizer none --target-dir $(CACHE)/fuzz \
			$$(case " $(FUZZ_SERVER) " in *" $$target "*) echo --features server;; esac) \
			$$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			$$([ -f fuzz/$$target.dict ] && echo -dict=fuzz/$$target.dict) \
			-max_total_time=$(SECONDS) -timeout=20 -print_final_stats=1 || exit 1; \
	done

bench: $(BENCH_VENV)/complete
	@echo "==> Measuring against peers, on an otherwise idle machine: about an hour$(TREE)."
	cargo build --locked
	cargo build --locked --package cordada-flight-server --example ask
	CORDADA=$(CORDADA) $(BENCH_VENV)/bin/python bench/run.py $(BENCH)

$(TEST_VENV)/complete: tests/python/requirements.txt
$(BENCH_VENV)/complete: bench/requirements.txt
$(CACHE)/venv-%/complete:
	@echo "==> Installing $< from PyPI into $(@D): about a minute, once."
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Compiled apart: the target directory holds Cordada's dependency tree and nothing else.
$(CACHE)/tools/%/complete:
	@echo "==> Compiling $* from crates.io into $(@D): about 3 minutes, once."
	env -u CARGO_TARGET_DIR cargo install --locked --quiet --root $(@D) $*
	touch $@
