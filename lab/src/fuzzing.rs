//! What the fuzzer runs on the laboratory's readers: one function a target, which
//! takes any bytes and neither panics nor runs for ever. `common/fuzz` hands
//! them to libFuzzer.

mod impairment;
mod traces;

/// Runs the target with this name.
///
/// # Panics
/// If there is none, or the bytes show a bug.
pub fn run(name: &str, bytes: &[u8]) {
    match name {
        "trace" => traces::run(bytes),
        "impairment" => impairment::run(bytes),
        _ => panic!("no target is called {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    /// Where the corpus is, from this crate's folder.
    const CORPUS: &str = "../common/fuzz/corpus";

    include!("../../common/fuzz/corpus.rs");

    #[test]
    fn trace() {
        try_all("trace", |bytes| run("trace", bytes));
    }

    #[test]
    fn impairment() {
        try_all("impairment", |bytes| run("impairment", bytes));
    }
}
