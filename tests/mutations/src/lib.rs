//! Mutations of Stockline: each removes one rule, and a named test must notice.
//!
//! A mutation replaces a text that occurs exactly once in a file. The test of this crate checks that every text still
//! occurs once and that every named test still exists. `cargo run -p stockline-mutations` builds each mutation in a
//! copy of the workspace and runs its test.

mod list;
mod tree;

pub use list::ALL;
pub use tree::{Ending, Tree};

/// A mutation, which removes one rule.
#[derive(Debug)]
pub struct Mutation {
    /// The wrong behaviour, in a few words joined by hyphens.
    pub name: &'static str,
    /// The changes that make up the mutation.
    pub edits: &'static [Edit],
    /// The tests to build.
    pub suite: &'static Suite,
    /// The full path of the test that must fail.
    pub killed_by: &'static str,
}

/// One change of a file.
#[derive(Debug)]
pub struct Edit {
    /// The path from the workspace root.
    pub file: &'static str,
    /// The text to replace. It occurs in the file exactly once.
    pub from: &'static str,
    /// The replacement.
    pub to: &'static str,
}

/// A group of tests that are built together.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// The arguments of `cargo test` that select the tests.
    pub arguments: &'static [&'static str],
    /// The folder of their sources, from the workspace root.
    pub sources: &'static str,
}

impl Edit {
    /// Returns the text of the file with this change.
    ///
    /// # Errors
    /// `from` does not occur in the text exactly once: the mutated code was removed or has changed.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(self.from).count() {
            1 => Ok(text.replacen(self.from, self.to, 1)),
            count => Err(format!("{} contains this text {count} times instead of once:\n{}", self.file, self.from)),
        }
    }
}
