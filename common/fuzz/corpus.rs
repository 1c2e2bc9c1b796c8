// The kept corpus of each fuzz target, and mutations of it: the part of fuzzing
// that every test run repeats. The crates with targets include this file.

use std::fs;
use std::path::PathBuf;

use fastrand::Rng;

/// How many mutations each target is tried with.
const MUTATIONS: u64 = 1_500;

/// The longest that mutations grow.
const MAX_LEN: usize = 4_000;

/// The inputs that are kept for a target: what the fuzzer found worth keeping,
/// and what once failed.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(CORPUS)
        .join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let inputs: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!inputs.is_empty(), "{name} has no corpus");
    inputs
}

fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..8) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 64));
        match rng.u8(..7) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, std::iter::repeat_with(|| rng.u8(..)).take(4))),
            2 => {
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len().min(from + 64));
                input.splice(at..end, other[from..to].iter().copied());
            }
            3 => input[at..end].fill([0, 255, 1][rng.usize(..3)]),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = [rng.u8(..), *byte ^ 1 << rng.u8(..8)][rng.usize(..2)];
                }
            }
        }
    }
    input.truncate(MAX_LEN);
}

/// Runs the target over its corpus and over [`MUTATIONS`] of it.
fn try_all(name: &str, run: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let corpus = corpus(name);
    corpus.iter().for_each(|input| run(input));
    for seed in 0..MUTATIONS {
        let mut rng = Rng::with_seed(seed);
        let mut input = corpus[rng.usize(..corpus.len())].clone();
        mutate(&mut input, &corpus[rng.usize(..corpus.len())], &mut rng);
        let tried = std::panic::catch_unwind(|| run(&input));
        assert!(tried.is_ok(), "{name}, seed {seed}: {input:02x?}");
    }
}
