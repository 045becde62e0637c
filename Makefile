# The door to everything: what takes more than a line lives in xtask/ and tests/e2e/.
.DEFAULT_GOAL := build
.PHONY: build setup demo test e2e attacks agents chaos parity fuzz bench lint deny fmt clean

build: ## ./nono, ./nono-runc, ./10-nono-nri and ./kubefence, static and checked
	cargo xtask build

setup: ## Debian packages and pinned Go tools that tests and demo need (as root)
	cargo xtask setup

demo: setup build ## one workload, bare and sandboxed, on a private containerd
	cargo run --quiet --package e2e --bin demo

test: setup build ## all suites; the last line counts them
	cargo xtask test

e2e: setup build ## only the checks on a real runtime
	cargo run --quiet --package e2e --bin e2e

attacks: setup build ## everything that tries to get around the sandbox, on every container runtime
	cargo run --quiet --package e2e --bin attacks

agents: setup build ## coding agents and language tools under their profiles, on a real runtime
	cargo run --quiet --package e2e --bin agents

chaos: setup build ## containers come and go while the plugin is killed and containerd restarted
	cargo run --quiet --package e2e --bin chaos

parity: setup build ## upstream nono and our launcher, operation by operation
	cargo xtask parity

fuzz: setup ## the parsers of profiles and plans, a minute each
	cargo xtask fuzz

bench: setup build ## the table of docs/benchmarks.md
	cargo xtask bench

lint: ## formatting, clippy, documentation, dependency rules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --document-private-items
	cargo xtask boundaries

deny: ## licences, bans and sources of all dependencies
	cargo xtask deny

fmt:
	cargo fmt --all

clean: ## what was built and downloaded
	cargo clean
	rm -rf .cache nono nono-runc 10-nono-nri kubefence
