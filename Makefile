# The commands people type. Each installs first what it needs and is missing.

.PHONY: help demo test test-unit test-programs test-hosts test-peers test-long test-uptime lint bench bench-peers soak flood fuzz fuzz-long mutants sbom package look docs test-camera

help:
	@echo 'make demo         a video through UDP datagrams into a window'
	@echo 'make test         all tests, which is the four tiers:'
	@echo 'make test-unit      the crates alone and in virtual time: no process is started'
	@echo 'make test-programs  the programs on this machine'
	@echo 'make test-hosts     the programs between hosts: network namespaces, as root'
	@echo 'make test-peers     the programs with GStreamer, FFmpeg and Python'
	@echo 'make test-long    the test cases of RFC 8867 with all seeds, and thousands of odd JPEGs'
	@echo 'make test-uptime  all tests, as on machines that have been up for 60 days and for 30 years'
	@echo 'make lint         formatting and clippy, warnings as errors; licences and sources of crates'
	@echo 'make bench        time by stage, the protocol alone, repair, slices, the first picture, many viewers and senders; as root TCP and UDP, congestion'
	@echo 'make bench-peers  beside GStreamer and FFmpeg: processor time, start, delay, loss (40 minutes, idle machine)'
	@echo 'make soak         ten minutes with an outage in each: the picture is back, memory and delay stay'
	@echo 'make flood        100,000 forged datagrams a second beside a stream, as root on an idle machine'
	@echo 'make fuzz         every fuzz target for a minute (libFuzzer)'
	@echo 'make fuzz-long    100 million runs of all fuzz targets, a million of each at least (hours)'
	@echo 'make mutants      changes to the core that no test notices (cargo-mutants; hours)'
	@echo 'make sbom         a bill of materials of each program (CycloneDX) into target/sbom'
	@echo 'make package      a Debian package of the programs, with man pages and the bills of materials'
	@echo 'make look         a report as a page: its numbers compared in a browser, and pictures of it'
	@echo 'make docs         docs/cli.md and docs/report.md from the programs; man pages and shell completions into target/docs'
	@echo 'make test-camera  a camera device, raw and MJPEG (slow)'

demo:
	@scripts/demo

test:
	@scripts/install build test
	cargo test --workspace

# One set of packages for all tiers, so that nothing is built twice.
test-unit:
	@scripts/install build
	cargo test --workspace --lib --test layers --test limits --test parity_oracle --test virtual_time --test hostile
	cargo test --workspace --doc

test-programs:
	@scripts/install build test
	cargo test --workspace --test program --test media --test bitrate --test instructions --test programs

test-hosts:
	@scripts/install build test
	cargo test --workspace --test hosts

test-peers:
	@scripts/install build test
	cargo test --workspace --test peers

test-long:
	@scripts/install build test
	FRAMEGRAM_ALL_SEEDS=1 cargo test -p framegram-tests --test virtual_time congestion -- --nocapture
	cargo test --workspace --test peers corpus -- --ignored

test-uptime:
	@scripts/install build test
	@scripts/test-uptime

lint:
	@scripts/install build lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@scripts/check-core
	@scripts/check-dependencies

bench:
	@scripts/install build bench
	cargo bench -p framegram-tests --bench '*'
	cargo bench -p framegram-seal

bench-peers:
	@scripts/install build bench
	cargo run --release -p framegram-tools --bin bench_peers

soak:
	@scripts/install build test
	cargo run --release -p framegram-tools --bin soak

flood:
	@scripts/install build test
	cargo bench -p framegram-tests --bench flood -- --strict

fuzz:
	@scripts/install build
	@scripts/fuzz

fuzz-long:
	@scripts/install build
	@scripts/fuzz --long

mutants:
	@scripts/mutants

sbom:
	@scripts/install lint
	@scripts/sbom

package:
	@scripts/install build package
	@scripts/package

look:
	@scripts/install build test look
	cargo run -p framegram-tools --bin look -- target/look

docs:
	@scripts/install build
	cargo run -p framegram-tools --bin docs

test-camera:
	@scripts/install build
	@scripts/test-camera
