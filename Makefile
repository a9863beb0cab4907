# Two commands do all the set-up: `make demo` builds and runs the main job, `make test` passes everything.
# Tools go into .tools/, the Rust toolchain is rustup's, and packages are installed for root only.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
PYTHON := $(TOOLS)/venv/bin/python
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# With a CMake new enough for the bundled HDF5, where the system's is not.
CARGO := PATH="$$(tools/cmake.sh):$$PATH" cargo
export TAPEDECK_PYTHON := $(PYTHON)
ASCIINEMA := $(TOOLS)/asciinema-3.2.0/bin/asciinema
export TAPEDECK_ASCIINEMA := $(ASCIINEMA)

.PHONY: help demo build install test bench setup toolchain wasm python ssh peers clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

demo: toolchain ## Build, record a live program for 5 s, show the report and the files
	$(CARGO) build --profile demo --bin tapedeck
	$(CARGO) build --profile demo -p tapedeck-memory --example arcade
	@echo
	@echo '$$ tapedeck run pipelines/game.toml --duration 5s'
	@target/demo/tapedeck run pipelines/game.toml --duration 5s --session demo-$$(date +%s) | tee .tools/demo.txt
	@folder=$$(sed -n 's/^files in //p' .tools/demo.txt); echo; echo "\$$ tapedeck inspect $$folder"; \
	    target/demo/tapedeck inspect "$$folder"; echo; ls -l "$$folder"

PREFIX ?= /usr/local
BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share

install: build ## Install the program and its shell completions below PREFIX (/usr/local), DESTDIR before it
	install -D -m 755 target/demo/tapedeck $(BIN)/tapedeck
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	target/demo/tapedeck completions bash >$(SHARE)/bash-completion/completions/tapedeck
	target/demo/tapedeck completions zsh >$(SHARE)/zsh/site-functions/_tapedeck
	target/demo/tapedeck completions fish >$(SHARE)/fish/vendor_completions.d/tapedeck.fish

# Root mostly has no cargo, and what the user has built is there: `make build && sudo make install`.
build:
	@if command -v cargo >/dev/null; then $(CARGO) build --profile demo --bin tapedeck; \
	    elif ! test -x target/demo/tapedeck; then \
	    echo 'error: cargo is not there to build the program'; echo '  hint: `make build` as the user who has it'; exit 1; fi

test: setup ## Formats, lints, unit, integration and interop tests
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cargo check -p tapedeck-sdk --target wasm32-wasip2
	export RUSTDOCFLAGS='-D warnings'; $(CARGO) doc --no-deps -p tapedeck-sdk -p tapedeck-engine
	$(CARGO) test --workspace

bench: setup ## Measure; results go to benches/results/
	benches/run.sh

setup: toolchain wasm python ssh peers

toolchain:
	@mkdir -p $(TOOLS)
	@command -v rustup >/dev/null || { echo 'error: rustup is not there'; \
	    echo "  hint: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; exit 1; }
	@command -v cc >/dev/null || tools/install.sh gcc libc6-dev
	@command -v python3 >/dev/null || tools/install.sh python3 python3-venv
	@python3 -c 'import ensurepip, venv' 2>/dev/null || tools/install.sh python3-venv
	@rustup toolchain list | grep -q '^$(TOOLCHAIN)-' || \
	    rustup toolchain install $(TOOLCHAIN) --profile minimal --component rustfmt --component clippy

wasm: toolchain
	@rustup target list --toolchain $(TOOLCHAIN) --installed | grep -qx wasm32-wasip2 || \
	    rustup target add --toolchain $(TOOLCHAIN) wasm32-wasip2

# The tests of the SSH server are driven by the real clients (ssh, scp, rsync, git) and the real server.
ssh:
	@command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || tools/install.sh openssh-client
	@test -x /usr/sbin/sshd || tools/install.sh openssh-server
	@command -v rsync >/dev/null || tools/install.sh rsync
	@command -v git >/dev/null || tools/install.sh git

# Recorders that ours is compared with, as programs. Built once, as their users have them: about five minutes of a processor.
peers: $(ASCIINEMA)

$(ASCIINEMA): | toolchain
	@tools/peer.sh asciinema 3.2.0 $(TOOLS)/asciinema-3.2.0

python: $(TOOLS)/venv/.installed

$(TOOLS)/venv/.installed: tests/interop/requirements.txt
	@tools/venv.sh $(TOOLS)/venv tests/interop/requirements.txt
	@touch $@

clean: ## Remove what was built
	cargo clean
	rm -rf .tools
