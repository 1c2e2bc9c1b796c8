//! Fuzz targets for the laboratory's readers. Each takes arbitrary bytes and must
//! neither panic nor hang. `common/fuzz` runs them with libFuzzer.

mod impairment;
mod traces;

/// Runs the target with this name.
///
/// # Panics
/// If there is no such target, or the bytes reveal a bug.
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

    /// The corpus, relative to this crate's folder.
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
