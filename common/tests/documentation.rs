//! The tests that documents name exist.

use std::fs;
use std::path::{Path, PathBuf};

/// The documents that name tests, from the project's own folder.
const DOCUMENTS: [&str; 2] = ["docs/security.md", "SECURITY.md"];

/// The folders of the crates.
const FOLDERS: [&str; 6] = ["common", "lab", "sender", "tests", "tools", "viewer"];

/// Stands for the rest of a name.
const AND_SO_ON: char = '…';

/// A source file: the parts of its path, and its text.
struct Source {
    parts: Vec<String>,
    text: String,
}

impl Source {
    /// Whether it is, or has, this module.
    fn has_module(&self, module: &str) -> bool {
        let is_part = self.parts.iter().any(|part| part == module);
        is_part || self.text.contains(&format!("mod {module} {{"))
    }

    /// Whether it has the test of this name, or tests if the name is `*`.
    fn has_test(&self, name: &str) -> bool {
        let attribute = "#[test]";
        let mut tests = self.text.split(attribute).skip(1);
        tests.any(|test| {
            let begin = test.split_once("fn ").map_or("", |(_, begin)| begin);
            let own = begin.split('(').next().unwrap_or_default();
            match name.strip_suffix(AND_SO_ON) {
                Some(prefix) => own.starts_with(prefix),
                None => name == "*" || own == name,
            }
        })
    }
}

#[test]
fn each_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for folder in FOLDERS {
        read(&root, &root.join(folder), &mut sources);
    }
    let mut named = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).expect("a document is text");
        // What stands between backticks is every other part.
        for word in text.split('`').skip(1).step_by(2) {
            let Some(path) = test_path(word) else {
                continue;
            };
            named += 1;
            let (name, modules) = path.split_last().expect("a path has a name");
            let is_it = |source: &Source| {
                modules.iter().all(|module| source.has_module(module)) && source.has_test(name)
            };
            assert!(sources.iter().any(is_it), "{document}: no test {word}");
        }
    }
    assert!(named > 50, "the documents name {named} tests");
}

/// The modules and the name of a test, if this is one. Other words that look like it have fewer
/// words in them.
fn test_path(word: &str) -> Option<Vec<&str>> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:*…".contains(c);
    let is_test = word.contains("::") || word.matches('_').count() > 1;
    (is_test && word.chars().all(is_name)).then(|| word.split("::").collect())
}

/// Reads the source files of a folder, without what was built.
fn read(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).expect("a crate's folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            read(root, &path, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let name = path.strip_prefix(root).expect("it lies there");
            let parts = name.with_extension("");
            let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
            sources.push(Source {
                parts: parts.collect(),
                text: fs::read_to_string(&path).expect("a source file is text"),
            });
        }
    }
}
