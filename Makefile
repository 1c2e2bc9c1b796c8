# The commands people type. Each installs first what it needs and is missing.

.PHONY: help demo test test-uptime lint bench soak fuzz look docs test-camera

help:
	@echo 'make demo         a video through UDP datagrams into a window'
	@echo 'make test         all tests'
	@echo 'make test-uptime  all tests, as on machines that have been up for 60 days and for 30 years'
	@echo 'make lint         formatting and clippy, warnings as errors'
	@echo 'make bench        time by stage, the protocol alone, repair, slices, the first picture, many viewers and senders'
	@echo 'make soak         ten minutes with an outage in each: the picture is back, memory and delay stay'
	@echo 'make fuzz         every fuzz target for a minute (cargo-fuzz)'
	@echo 'make look         a report as a page: its numbers compared in a browser, and pictures of it'
	@echo 'make docs         docs/cli.md from the programs; man pages and shell completions into target/docs'
	@echo 'make test-camera  a camera device, raw and MJPEG (slow)'

demo:
	@scripts/demo

test:
	@scripts/install build test
	cargo test --workspace

test-uptime:
	@scripts/install build test
	@scripts/test-uptime

lint:
	@scripts/install build lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench:
	@scripts/install build bench
	cargo bench -p framegram-tests --bench '*'

soak:
	@scripts/install build test
	cargo run --release -p framegram-tools --bin soak

fuzz:
	@scripts/fuzz

look:
	@scripts/install build test look
	cargo run -p framegram-tools --bin look -- target/look

docs:
	@scripts/install build
	cargo run -p framegram-tools --bin docs

test-camera:
	@scripts/install build
	@scripts/test-camera
