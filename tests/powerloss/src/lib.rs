//! Power loss for SQLite files: a VFS that forgets what was not synced (`vfs.c`).
#![expect(unsafe_code, reason = "the three functions of a C file of ours; they take and return plain numbers")]

use std::ffi::{c_int, c_ulonglong};

// libsqlite3-sys brings the SQLite that the C file links to.
use libsqlite3_sys as _;

/// The name to open files with.
pub const VFS: &str = "powerloss";

unsafe extern "C" {
    safe fn powerloss_register() -> c_int;
    safe fn powerloss_cut(seed: c_ulonglong) -> c_ulonglong;
    safe fn powerloss_restore() -> c_int;
}

/// Makes [`VFS`] known to SQLite.
pub fn register() {
    assert_eq!(powerloss_register(), 0, "the VFS could not be registered");
}

/// The power goes, for every file opened by [`VFS`]. Unsynced changes are lost, save a random part of their sectors.
/// Answers how many changes were not synced.
pub fn cut(seed: u64) -> u64 {
    powerloss_cut(seed)
}

/// The power comes back; every connection of before must be closed.
pub fn restore() {
    assert_eq!(powerloss_restore(), 0, "a file from before the power cut is still open");
}
