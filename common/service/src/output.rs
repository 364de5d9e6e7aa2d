//! What a program prints. `println!` and `eprintln!` panic on a full disk, a closed pipe or a terminal that is gone; these
//! functions return the failure, or drop the text.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::sync::mpsc;
use std::time::Duration;

/// The exit code of a program whose output nobody reads any more. A shell reports the same for SIGPIPE.
pub const EXIT_CLOSED: u8 = 141;

/// How long the last words of a program may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Standard output takes nothing more.
#[derive(Debug, thiserror::Error)]
#[error("can't write to standard output: {0}")]
pub struct OutputError(io::Error);

impl OutputError {
    /// Returns whether the reader has closed the pipe, as `head` does when it has enough. The program then ends quietly with
    /// [`EXIT_CLOSED`].
    pub fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

/// Reports whether one of the causes is a closed pipe.
pub fn is_closed<'a>(mut causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> bool {
    causes.any(|cause| cause.downcast_ref().is_some_and(OutputError::is_closed))
}

/// Prints a text to standard output.
///
/// # Errors
/// Standard output takes nothing more.
pub fn print(text: impl Display) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(OutputError)
}

/// Prints a line to standard output.
///
/// # Errors
/// Standard output takes nothing more.
pub fn line(text: impl Display) -> Result<(), OutputError> {
    print(format_args!("{text}\n"))
}

/// Prints a line to standard error. If that fails, nobody is left to tell.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints the error that ends the program. A pipe that is full and that nobody reads delays the end by 2 s at most.
pub fn last_words(text: impl Display) {
    let text = text.to_string();
    let (done, is_done) = mpsc::channel();
    let written = std::thread::Builder::new().name("last-words".to_owned()).spawn(move || {
        note(text);
        // The program may have stopped waiting.
        let _ = done.send(());
    });
    if written.is_ok() {
        // Either way the program ends now.
        let _ = is_done.recv_timeout(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        let closed = OutputError(ErrorKind::BrokenPipe.into());
        let full = OutputError(ErrorKind::StorageFull.into());
        assert!(closed.is_closed() && !full.is_closed());
        assert!(is_closed(std::iter::once(&closed as &(dyn std::error::Error + 'static))));
        assert!(full.to_string().contains("standard output"));
    }
}
