//! What a program prints. `println!` and `eprintln!` panic on a full disk, a closed pipe or a terminal that is gone; these
//! functions return the failure, or drop the text.
//!
//! What is printed may come from a file or from a stranger. No control character of it reaches the terminal, which it could
//! steer.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

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

/// Reports whether a character steers a terminal or turns the order of a line: control characters except line breaks and
/// tabs, overrides of the writing direction, and Unicode's own line breaks.
fn steers(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

/// Replaces the characters of a text that could steer a terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(steers) { text.replace(steers, "\u{fffd}").into() } else { text.into() }
}

/// Prints a text to standard output as it is, with its colours.
///
/// # Errors
/// Standard output takes nothing more.
pub fn styled(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError)
}

/// Prints a text to standard output.
///
/// # Errors
/// Standard output takes nothing more.
pub fn print(text: impl Display) -> Result<(), OutputError> {
    styled(&printable(&text.to_string()))
}

/// Prints a value as JSON to standard output.
///
/// # Errors
/// Standard output takes nothing more, or the value has no JSON form.
pub fn json(value: &(impl Serialize + ?Sized)) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| OutputError(error.into()))?;
    styled(&format!("{}\n", escaped(&text)))
}

/// Escapes what JSON allows in a string and a terminal may obey. Between strings there are only spaces and line breaks.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(steers) {
        return json.into();
    }
    // Every such character has one UTF-16 unit.
    let escape = |c: char| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escape).collect::<String>().into()
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
    let text = text.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", printable(&text));
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

    #[test]
    fn no_character_of_a_stranger_steers_the_terminal() {
        let hostile = "a\u{1b}[2J\u{7}\r\u{9b}31m\u{7f}\u{202e}\u{2028}b\tc\nd";
        let shown = printable(hostile);
        assert!(!shown.contains(steers) && shown.ends_with("b\tc\nd"), "{shown:?}");
        assert!(matches!(printable("Crème brûlée 茶 🍵"), Cow::Borrowed(_)), "and nothing else is changed");
        let json = serde_json::to_string_pretty(&serde_json::json!({ "name": hostile })).unwrap();
        let safe = escaped(&json);
        assert!(!safe.contains(steers));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap()["name"],
            hostile,
            "no information is lost"
        );
    }
}
