//! The layers of the source: no dependency circle between crates or between sibling modules, each
//! counted with its children. A parent and its own child may use each other. A re-export counts as
//! a use of its target. The protocol crate does not depend on an operating system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

#[path = "layers/names.rs"]
mod names;

/// The crates: folder, name, and the crates of the workspace that they may use.
const CRATES: [(&str, &str, &[&str]); 9] = [
    ("common", "framegram_common", &[]),
    ("common/cli", "framegram_cli", &["framegram_seal"]),
    ("common/media", "framegram_media", &["framegram_common"]),
    ("common/net", "framegram_net", &[]),
    ("common/seal", "framegram_seal", &["framegram_common"]),
    ("common/window", "framegram_window", &["framegram_media"]),
    (
        "lab",
        "framegram_lab",
        &[
            "framegram_common",
            "framegram_cli",
            "framegram_media",
            "framegram_net",
        ],
    ),
    (
        "sender",
        "framegram_send",
        &[
            "framegram_common",
            "framegram_cli",
            "framegram_media",
            "framegram_net",
            "framegram_lab",
            "framegram_seal",
            "framegram_window",
        ],
    ),
    (
        "viewer",
        "framegram_view",
        &[
            "framegram_common",
            "framegram_cli",
            "framegram_media",
            "framegram_net",
            "framegram_lab",
            "framegram_seal",
            "framegram_window",
        ],
    ),
];

/// The only dependencies of the protocol crate: each builds for a target without an operating
/// system.
const PROTOCOL_DEPENDENCIES: [&str; 12] = [
    "bytes",
    "crc32c",
    "fastrand",
    "fixedbitset",
    "hdrhistogram",
    "memchr",
    "reed-solomon-simd",
    "rtcp-types",
    "rtp-types",
    "serde",
    "siphasher",
    "thiserror",
];

/// The parts of the standard library that need an operating system.
const SYSTEM: [&[&str]; 11] = [
    &["std", "env"],
    &["std", "fs"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "net", "UdpSocket"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
];

/// What decodes JPEGs, and the modules of the viewer whose code runs in decoding threads.
const DECODERS: [&str; 4] = ["Decoder", "TimecodeMeter", "Vetter", "vet"];
const DECODING: [&str; 3] = ["conceal", "decoding", "sink/tiles/decoding"];

/// The project's own folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

type Name = Vec<String>;

/// One crate: its modules, and the paths that each module names.
#[derive(Default)]
struct Tree {
    modules: BTreeSet<Name>,
    uses: Vec<(Name, Name)>,
    crates: BTreeSet<String>,
    /// The paths in other crates of the workspace that each module names.
    foreign: Vec<(Name, Name)>,
}

#[test]
fn crates_use_only_what_lies_below_them() {
    for (folder, name, below) in CRATES {
        let tree = Tree::read(folder);
        for other in tree.crates.iter().filter(|other| *other != name) {
            assert!(
                below.contains(&other.as_str()),
                "{folder} uses {other}, which is not below it"
            );
        }
    }
}

#[test]
fn the_protocol_asks_no_operating_system() {
    let manifest = fs::read_to_string(root().join("common/Cargo.toml")).expect("the manifest");
    let mut sections = manifest.split("\n[");
    let section = sections.find_map(|section| section.strip_prefix("dependencies]"));
    for line in section.expect("dependencies").lines() {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        assert!(
            name.is_empty() || PROTOCOL_DEPENDENCIES.contains(&name),
            "common depends on {name}: does it build for wasm32-unknown-unknown?"
        );
    }
    for (module, path) in Tree::read("common").uses {
        let asks = SYSTEM.iter().any(|system| {
            let words = path.iter().map(String::as_str);
            words.take(system.len()).eq(system.iter().copied())
        });
        assert!(!asks, "{} names {}", module.join("/"), path.join("::"));
    }
}

/// The messages of protocol, network and codec appear in programs of any name, so they do not
/// mention the command line.
#[test]
fn libraries_name_no_flag() {
    for folder in [
        "common",
        "common/media",
        "common/net",
        "common/seal",
        "common/window",
    ] {
        let source = root().join(folder).join("src");
        let mut files = Vec::new();
        list(&source, &mut files);
        for file in files {
            let name = module(file.strip_prefix(&source).expect("it lies there"));
            if name.iter().any(|part| is_test(part)) {
                continue;
            }
            let text = fs::read_to_string(&file).expect("a source file is text");
            let flag = |line: &&str| {
                let code = line.trim_start();
                let mut parts = code.split("--").skip(1);
                let names = parts.any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
                names && code.contains('"') && !code.starts_with("//")
            };
            let found = text.lines().find(flag);
            assert_eq!(found, None, "{}", file.display());
        }
    }
}

/// JPEGs come from the network. The viewer has them decoded by threads that can open nothing.
#[test]
fn the_viewer_decodes_only_in_confined_threads() {
    let mut named = BTreeSet::new();
    for (module, path) in Tree::read("viewer").foreign {
        let last = path.last().map_or("", String::as_str);
        if DECODERS.contains(&last) {
            let module = module.join("/");
            let is_confined = DECODING.contains(&module.as_str());
            assert!(is_confined, "{module} names {}", path.join("::"));
            named.insert(module);
        }
    }
    assert_eq!(named.len(), DECODING.len(), "{named:?}");
}

#[test]
fn sibling_modules_form_no_circle() {
    let mut circles = Vec::new();
    for (folder, ..) in CRATES {
        let tree = Tree::read(folder);
        for (parent, arrows) in tree.arrows() {
            for (from, to, why) in circle(&arrows) {
                circles.push(format!(
                    "{folder}/src/{}: {from} -> {to} ({why})",
                    parent.join("/")
                ));
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

type Arrows = BTreeMap<(String, String), String>;

impl Tree {
    fn read(folder: &str) -> Self {
        let source = root().join(folder).join("src");
        let mut tree = Self::default();
        let mut files = Vec::new();
        list(&source, &mut files);
        for file in files {
            let name = module(file.strip_prefix(&source).expect("it lies there"));
            if name.iter().any(|part| is_test(part)) || name.first().is_some_and(|it| it == "bin") {
                continue;
            }
            let text = fs::read_to_string(&file).expect("a source file is text");
            let parsed = syn::parse_file(&text).expect("a source file is Rust");
            tree.modules.insert(name.clone());
            let mut reader = Reader {
                module: name,
                paths: Vec::new(),
            };
            reader.visit_file(&parsed);
            for path in reader.paths {
                if path
                    .1
                    .first()
                    .is_some_and(|it| it.starts_with("framegram_"))
                {
                    tree.crates.insert(path.1[0].clone());
                    tree.foreign.push(path);
                } else {
                    tree.uses.push(path);
                }
            }
        }
        tree
    }

    /// The uses between the children of each module.
    fn arrows(&self) -> BTreeMap<Name, Arrows> {
        let mut all: BTreeMap<Name, Arrows> = BTreeMap::new();
        for (from, path) in &self.uses {
            let Some(to) = self.resolve(from, path) else {
                continue;
            };
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if common == from.len() || common == to.len() {
                continue;
            }
            let arrow = (from[common].clone(), to[common].clone());
            let why = format!("{} names {}", from.join("/"), to.join("/"));
            let arrows = all.entry(from[..common].to_vec()).or_default();
            arrows.entry(arrow).or_insert(why);
        }
        all
    }

    /// The module that a path leads to; `None` if it leads out of the crate.
    fn resolve(&self, from: &Name, path: &Name) -> Option<Name> {
        let (mut module, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" | "super" => (from.clone(), &path[..]),
            // A child of this module, by its bare name.
            child => {
                let mut module = from.clone();
                module.push(child.to_owned());
                self.modules.contains(&module).then_some(())?;
                (module, &path[1..])
            }
        };
        while let Some(word) = rest.first() {
            match word.as_str() {
                "self" => {}
                "super" => drop(module.pop()),
                name => {
                    module.push(name.to_owned());
                    if !self.modules.contains(&module) {
                        module.pop();
                        break;
                    }
                }
            }
            rest = &rest[1..];
        }
        Some(module)
    }
}

/// The arrows of a circle, if there is one: those between nodes that reach each other.
fn circle(arrows: &Arrows) -> Vec<(String, String, String)> {
    let reach = |start: &str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start.to_owned()];
        while let Some(node) = open.pop() {
            for (_, to) in arrows.keys().filter(|(from, _)| *from == node) {
                if reached.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        reached
    };
    let within = arrows
        .iter()
        .filter(|((from, to), _)| reach(to).contains(from));
    within
        .map(|((from, to), why)| (from.clone(), to.clone(), why.clone()))
        .collect()
}

/// Collects the paths that a file names, without its tests.
struct Reader {
    module: Name,
    paths: Vec<(Name, Name)>,
}

impl Reader {
    fn add(&mut self, path: Name) {
        self.paths.push((self.module.clone(), path));
    }

    fn flatten(&mut self, before: &Name, tree: &UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = before.clone();
            path.push(name.to_string());
            path
        };
        match tree {
            UseTree::Path(path) => self.flatten(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.add(with(&name.ident)),
            UseTree::Rename(name) => self.add(with(&name.ident)),
            UseTree::Glob(_) => self.add(before.clone()),
            UseTree::Group(group) => {
                for item in &group.items {
                    self.flatten(before, item);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(it) => &it.attrs,
            Item::Use(it) => &it.attrs,
            Item::Fn(it) => &it.attrs,
            _ => &Vec::new(),
        };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        if let Item::Use(it) = item {
            self.flatten(&Vec::new(), &it.tree);
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        // Only modules with a body here. The others have files of their own.
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Name = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        if words.len() > 1 {
            self.add(words);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .meta
            .require_list()
            .is_ok_and(|list| list.tokens.to_string().contains("test"))
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests") || name == "fuzzing" || name == "fixture"
}

fn module(file: &Path) -> Name {
    let parts = file.with_extension("");
    let mut name: Name = parts
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        name.last().map(String::as_str),
        Some("lib" | "main" | "mod")
    ) {
        name.pop();
    }
    name
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the crate's source");
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}
