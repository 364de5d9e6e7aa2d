//! Finds the repository and the programs that cargo builds from it.

use std::path::{Path, PathBuf};

/// Returns the top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Returns `target/`. The path of the running test is `target/{profile}/deps/{test}`.
pub fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// Returns a deployed program. `cargo test --workspace` builds it because its package has integration tests.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "no {}: run cargo build --workspace first", path.display());
    path
}
