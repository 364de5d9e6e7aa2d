//! Tools that tests install, once: each set of fixed versions in a folder of its own under `target/`.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::programs::target_folder;

/// Returns the folder of these versions. Installs them if they are missing, in one process at a time.
pub fn installed(name: &str, versions: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let target = target_folder();
    let mut hash = DefaultHasher::new();
    versions.hash(&mut hash);
    let name = format!("{name}-{:016x}", hash.finish());
    let folder = target.join(&name);
    let complete = folder.join("complete");

    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !complete.exists() {
        // An interrupted installation may have left an incomplete folder.
        let _ = std::fs::remove_dir_all(&folder);
        install(&folder);
        File::create(complete).unwrap();
    }
    folder
}
