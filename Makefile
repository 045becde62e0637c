# The door to everything: what takes more than a line lives in xtask/ and tests/e2e/.
.DEFAULT_GOAL := build
.PHONY: build image docker-build setup demo test e2e e2e-k8s chart helm-lint node-systemd attacks agents chaos parity fuzz bench lint deny fmt clean

build: ## ./nono, ./nono-runc, ./10-nono-nri and ./kubefence, static and checked
	cargo xtask build

image: build ## target/image/kubefence-image.tar, the container image; needs no container engine
	cargo xtask image

docker-build: build ## the image nono-nri:latest, by docker or podman; without either, its archive
	cargo xtask image --engine auto

setup: ## Debian packages and pinned Go tools that tests and demo need (as root)
	cargo xtask setup

demo: setup build ## one workload, bare and sandboxed, on a private containerd
	cargo run --quiet --package e2e --bin demo

test: setup image ## all suites; the last line counts them
	cargo xtask test

e2e: setup image ## only the checks on a real runtime
	cargo run --quiet --package e2e --bin e2e

e2e-k8s: setup build ## the checks on a real Kubernetes cluster, started for them
	cargo xtask setup --group kubernetes
	cargo xtask image
	cargo run --quiet --package e2e-k8s

node-systemd: setup build ## node install on a Debian with systemd, in QEMU
	cargo xtask setup --group systemd
	cargo run --quiet --package e2e --bin node_systemd

chart: ## everything that is rendered from the Helm chart
	cargo xtask setup --only helm
	cargo run --quiet --package chart

helm-lint: ## the Helm chart: helm lint, bad values, and whether what is rendered from it is up to date
	cargo xtask setup --only helm
	cargo test --quiet --package chart --test drift --test objects --test refusals

attacks: setup build ## everything that tries to get around the sandbox, on every container runtime
	cargo run --quiet --package e2e --bin attacks

agents: setup build ## coding agents and language tools under their profiles, on a real runtime
	cargo run --quiet --package e2e --bin agents

chaos: setup build ## containers come and go while the plugin is killed and containerd restarted
	cargo run --quiet --package e2e --bin chaos -- $(CHAOS)

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
