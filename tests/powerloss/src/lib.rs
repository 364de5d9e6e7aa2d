//! Simulates power loss for SQLite files: a VFS that loses unsynced writes (`vfs.c`).
#![expect(unsafe_code, reason = "three functions of our own C file, with plain numbers as arguments and results")]

use std::ffi::{c_int, c_ulonglong};

// libsqlite3-sys provides the SQLite that the C file links to.
use libsqlite3_sys as _;

/// The name of the VFS to open files with.
pub const VFS: &str = "powerloss";

unsafe extern "C" {
    safe fn powerloss_register() -> c_int;
    safe fn powerloss_cut(seed: c_ulonglong) -> c_ulonglong;
    safe fn powerloss_restore() -> c_int;
}

/// Registers [`VFS`] with SQLite.
pub fn register() {
    assert_eq!(powerloss_register(), 0, "the VFS could not be registered");
}

/// Cuts the power for every file opened with [`VFS`]. Unsynced changes are lost, except for a random part of their
/// sectors. Returns the number of unsynced changes.
pub fn cut(seed: u64) -> u64 {
    powerloss_cut(seed)
}

/// Restores the power. Every earlier connection must be closed.
pub fn restore() {
    assert_eq!(powerloss_restore(), 0, "a file from before the power cut is still open");
}
