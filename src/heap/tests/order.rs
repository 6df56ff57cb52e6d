//! The files of the allocator come in an order, which mod.rs says: each uses only those before it.
//! `impl Heap` blocks hide from `use` what they use, so calls count too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// Names of functions here that the standard library has too.
const STANDARD: [&str; 1] = ["map"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/heap")
}

/// The names of the files, or of folders, in the order that mod.rs has them in.
fn order() -> Vec<String> {
    let text = read_to_string(folder().join("mod.rs")).expect("mod.rs");
    let listed = text.lines().skip_while(|line| !line.contains("uses only those before it"));
    let listed = listed.skip_while(|line| *line != "//! ```text").skip(1);
    let listed = listed.take_while(|line| *line != "//! ```");
    listed.flat_map(|line| line[3..].split_whitespace()).map(str::to_owned).collect()
}

/// What a file, or the files of a folder, consist of, without comments and without tests.
fn code(name: &str) -> String {
    let file = folder().join(format!("{name}.rs"));
    let paths = match file.exists() {
        true => vec![file],
        false => {
            let entries = read_dir(folder().join(name)).expect("a folder");
            entries.map(|entry| entry.expect("a file").path()).collect()
        }
    };
    let texts = paths.iter().map(|path| read_to_string(path).expect("a file"));
    let texts = texts.map(|text| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned());
    let lines: Vec<_> = texts.collect();
    let lines = lines.iter().flat_map(|text| text.lines());
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The identifiers that follow one of `before` and are followed by `behind`.
fn names<'t>(text: &'t str, before: &[&str], behind: &str) -> BTreeSet<&'t str> {
    let rests = before.iter().flat_map(|before| text.split(before).skip(1));
    let names = rests.filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
        rest[end..].starts_with(behind).then_some(&rest[..end])
    });
    names.collect()
}

#[test]
fn every_file_uses_only_those_before_it() {
    let order = order();
    let codes: Vec<_> = order.iter().map(|name| code(name)).collect();
    // Where each function is first defined.
    let mut defined = BTreeMap::new();
    for (at, code) in codes.iter().enumerate() {
        for name in names(code, &["fn "], "") {
            defined.entry(name).or_insert(at);
        }
    }
    assert!(order.len() > 10 && defined.len() > 100);
    for (at, code) in codes.iter().enumerate() {
        let modules = names(code, &["super::", "heap::"], "");
        let called = names(code, &[".", "Self::"], "(");
        for later in &order[at + 1..] {
            assert!(!modules.contains(later.as_str()), "{} names {later}", order[at]);
        }
        for name in called.into_iter().filter(|name| !STANDARD.contains(name)) {
            let place = defined.get(name).copied().unwrap_or(0);
            assert!(place <= at, "{} calls {name} of {}", order[at], order[place]);
        }
    }
}

#[test]
fn every_file_has_its_place() {
    let mut files: Vec<_> = read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.retain(|path| !path.ends_with("mod.rs") && !path.ends_with("tests"));
    let names: BTreeSet<_> =
        files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, order().into_iter().collect());
}
