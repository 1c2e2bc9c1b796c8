//! Type names: one for each type, in all crates together, so that a name says what it is wherever
//! it stands. Counts the production code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, ItemMod};

use super::{CRATES, Name, is_for_tests, is_test, list, module, root};

/// Names that types share on purpose: how many types, and why.
const SHARED: [(&str, usize, &str); 8] = [
    ("Args", 2, "the command line of a program"),
    ("Cipher", 2, "what a program seals with"),
    ("Config", 2, "of the endpoints Sender and Receiver"),
    ("Event", 2, "of the endpoints Sender and Receiver"),
    ("Output", 2, "of the endpoints Sender and Receiver"),
    ("Seal", 2, "the key of a program"),
    ("Transmit", 2, "of the endpoints Sender and Receiver"),
    ("Wire", 2, "the values of --wire of a program"),
];

/// A definition of a type: its name and where it is.
type Definition = (String, String);

#[test]
fn no_type_name_stands_for_two_types() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (folder, ..) in CRATES {
        for (name, place) in definitions(folder) {
            places.entry(name).or_default().push(place);
        }
    }
    places.retain(|_, places| places.len() > 1);
    let listed = BTreeMap::from(SHARED.map(|(name, count, _)| (name, count)));
    let mut wrong = Vec::new();
    for (name, places) in &places {
        if listed.get(name.as_str()) != Some(&places.len()) {
            wrong.push(format!(
                "{name}: {} types: {}",
                places.len(),
                places.join(", ")
            ));
        }
    }
    let unique = listed.keys().filter(|name| !places.contains_key(**name));
    wrong.extend(unique.map(|name| format!("{name} is unique: take it off the list")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The types of a crate's production code.
fn definitions(folder: &str) -> Vec<Definition> {
    let source = root().join(folder).join("src");
    let mut files = Vec::new();
    list(&source, &mut files);
    let (mut found, mut for_tests) = (Vec::new(), BTreeSet::new());
    for file in files {
        let name = module(file.strip_prefix(&source).expect("it lies there"));
        if name.iter().any(|part| is_test(part)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file is text");
        let mut types = Types::default();
        types.visit_file(&syn::parse_file(&text).expect("a source file is Rust"));
        for test in types.for_tests {
            for_tests.insert([name.clone(), vec![test]].concat());
        }
        found.extend(types.names.into_iter().map(|it| (name.clone(), it)));
    }
    found.retain(|(module, _)| !for_tests.iter().any(|test| module.starts_with(test)));
    let place = |module: Name| format!("{folder}/src/{}", module.join("/"));
    let definitions = found
        .into_iter()
        .map(|(module, name)| (name, place(module)));
    definitions.collect()
}

/// Collects the types that a file defines, and the names of its modules that are for tests.
#[derive(Default)]
struct Types {
    names: Vec<String>,
    for_tests: Vec<String>,
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast Item) {
        let definition: Option<(&Ident, &[Attribute])> = match item {
            Item::Enum(it) => Some((&it.ident, &it.attrs)),
            Item::Struct(it) => Some((&it.ident, &it.attrs)),
            Item::Trait(it) => Some((&it.ident, &it.attrs)),
            Item::Type(it) => Some((&it.ident, &it.attrs)),
            Item::Union(it) => Some((&it.ident, &it.attrs)),
            Item::Macro(it) => {
                // A macro may define types that are written out where it is used.
                let code = it.mac.tokens.to_string();
                let words: Vec<&str> = code.split_whitespace().collect();
                let defined = words
                    .windows(2)
                    .filter(|pair| ["enum", "struct"].contains(&pair[0]));
                let names = defined.map(|pair| pair[1].to_owned());
                self.names.extend(names.filter(|name| name != "$"));
                None
            }
            _ => None,
        };
        if let Some((name, attributes)) = definition
            && !attributes.iter().any(is_for_tests)
        {
            self.names.push(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.attrs.iter().any(is_for_tests) {
            self.for_tests.push(item.ident.to_string());
        } else {
            visit::visit_item_mod(self, item);
        }
    }
}
