//! A wrong clock for a real process: a preloaded library shifts its time of day, and nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// The library in C.
const SHIM: &str = include_str!("wrong_clock.c");

/// The time of day of the processes that [`WrongClock::command`] starts. It can be set while they run.
#[derive(Debug)]
pub struct WrongClock {
    folder: TempDir,
    shift: File,
}

impl WrongClock {
    /// Compiles the library. The clock is right at first.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("wrong_clock.c");
        std::fs::write(&source, SHIM).unwrap();
        let shift = File::create(folder.path().join("shift")).unwrap();
        let clock = Self { folder, shift };
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&clock.library(), &source])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        clock.set(0);
        clock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("wrong_clock.so")
    }

    /// Sets how far the clock is ahead, in seconds; negative if it is behind.
    pub fn set(&self, ahead_s: i64) {
        self.shift.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }

    /// A command that runs a program under this clock.
    pub fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", self.library()).env("WRONG_CLOCK", self.folder.path().join("shift"));
        command
    }
}

impl Default for WrongClock {
    fn default() -> Self {
        Self::new()
    }
}
