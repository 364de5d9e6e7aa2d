//! What the process says to whoever started it. `--help` lists the codes.

use std::process::ExitCode;

pub(crate) use stockline_lines::Usage;

/// All is well.
pub(crate) const OK: u8 = 0;
/// Something was found wrong, or refused.
pub(crate) const FOUND: u8 = 1;
/// The command line can't be meant so (clap's own code for the same).
pub(crate) const USAGE: u8 = 2;
/// What it needs can't be reached now; the same again may work.
pub(crate) const UNAVAILABLE: u8 = 3;

/// The server, the queue or the mail provider does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// The exit code that an error means.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Usage>()) {
        USAGE
    } else if error.chain().any(|cause| cause.is::<Unavailable>() || cause.is::<crate::serve::InUse>()) {
        UNAVAILABLE
    } else {
        FOUND
    }
}

/// Ends the process: prints the error with its causes, where there is one.
pub(crate) fn finish(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(code_of(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_code_follows_the_cause_however_deep() {
        let usage = Err::<(), _>(Usage("x".into())).context("while doing y").unwrap_err();
        assert_eq!(code_of(&usage), USAGE);
        let down = Err::<(), _>(Unavailable("x".into())).context("while doing y").unwrap_err();
        assert_eq!(code_of(&down), UNAVAILABLE);
        assert_eq!(code_of(&anyhow::anyhow!("anything else")), FOUND);
    }
}
