//! Rules of Stockline taken away one at a time. Each must be noticed by the test that is named beside it.
//!
//! A mutation is text that stands exactly once in a file, and what is put in its place. That every text still stands
//! there, and that every named test is still there, is a test of this crate; `cargo run -p stockline-mutations` builds
//! each mutation in a copy of the workspace and runs its test.

mod list;
mod tree;

pub use list::ALL;
pub use tree::{Ending, Tree};

/// One rule taken away.
#[derive(Debug)]
pub struct Mutation {
    /// What is wrong now, in a few words with hyphens.
    pub name: &'static str,
    /// The changes: all of them make the one mutation.
    pub edits: &'static [Edit],
    /// The tests that are built.
    pub suite: &'static Suite,
    /// The test of that suite which must fail, by its full path.
    pub killed_by: &'static str,
}

/// One change of a file.
#[derive(Debug)]
pub struct Edit {
    /// From the workspace's root.
    pub file: &'static str,
    /// Stands in the file exactly once.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

/// Tests that are built together.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// Arguments of `cargo test` that choose them.
    pub arguments: &'static [&'static str],
    /// The folder of their sources, from the workspace's root.
    pub sources: &'static str,
}

impl Edit {
    /// The file's text with this change made.
    ///
    /// # Errors
    /// Where `from` does not stand in it exactly once: what the mutation was made for is gone or has changed.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(self.from).count() {
            1 => Ok(text.replacen(self.from, self.to, 1)),
            count => Err(format!("{} has {count} times, not once:\n{}", self.file, self.from)),
        }
    }
}
