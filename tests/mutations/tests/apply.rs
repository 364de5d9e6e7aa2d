//! Checks that the mutations fit the current code. Whether their tests notice them takes a build each: `cargo run -p
//! stockline-mutations`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use stockline_mutations::{ALL, Mutation};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn all() -> impl Iterator<Item = &'static Mutation> {
    ALL.iter().copied().flatten()
}

#[test]
fn every_mutation_applies() {
    let mut faults = Vec::new();
    for mutation in all() {
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        for edit in mutation.edits {
            let text =
                texts.entry(edit.file).or_insert_with(|| fs::read_to_string(workspace().join(edit.file)).unwrap());
            match edit.apply(text) {
                Ok(changed) if changed == *text => faults.push(format!("{} changes nothing", mutation.name)),
                Ok(changed) => *text = changed,
                Err(why) => faults.push(format!("{}: {why}", mutation.name)),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_mutation_has_a_unique_name_and_an_existing_test() {
    let mut names = BTreeSet::new();
    for mutation in all() {
        assert!(names.insert(mutation.name), "the name {} is used twice", mutation.name);
        let test = mutation.killed_by.rsplit("::").next().unwrap();
        let found = sources(&workspace().join(mutation.suite.sources)).iter().any(|text| {
            let definition = format!("fn {test}(");
            text.match_indices(&definition).any(|(at, _)| {
                text[..at].ends_with("async ") || text[..at].ends_with("    ") || text[..at].ends_with('\n')
            })
        });
        assert!(found, "{}: the test {} does not exist", mutation.name, mutation.killed_by);
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}
