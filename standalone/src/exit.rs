//! Exit codes, and the errors that choose them. `--help` lists the codes.

use std::process::ExitCode;

use serde_json::json;
use stockline_service::output;
use stockline_sqlite::FolderError;

use crate::problem::Problem;

/// Success.
pub(crate) const OK: u8 = 0;
/// Something is wrong or was refused.
pub(crate) const FOUND: u8 = 1;
/// The command line is invalid (clap uses the same code).
pub(crate) const USAGE: u8 = 2;
/// The server or another service is unavailable; the same command may work later.
pub(crate) const UNAVAILABLE: u8 = 3;
/// `load` found that every line took effect earlier, or that lines did whose ids name no event.
pub(crate) const NOTHING_NEW: u8 = 4;

/// The arguments contradict each other or the files that they name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The server, the queue or the mail provider does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// Reports whether the cause is that another process uses the data folder.
pub(crate) fn is_folder_in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(FolderError::Locked { .. })))
}

/// Returns the exit code for an error.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Usage>()) {
        USAGE
    } else if error.chain().any(|cause| cause.is::<Unavailable>()) || is_folder_in_use(error) {
        UNAVAILABLE
    } else {
        FOUND
    }
}

/// Describes an error for a program.
fn json_of(error: &anyhow::Error, code: u8) -> String {
    let problem: Option<&Problem> = error.chain().find_map(|cause| cause.downcast_ref());
    let name = match (problem, code) {
        (Some(problem), _) if !problem.code.is_empty() => problem.code.as_str(),
        (_, USAGE) => "usage",
        (_, UNAVAILABLE) => "unavailable",
        _ => "failed",
    };
    json!({"error": {"code": name, "detail": format!("{error:#}"), "exit_code": code, "problem": problem}}).to_string()
}

/// Prints an error of the command line for a program.
pub(crate) fn print_usage_json(error: &impl std::fmt::Display) -> ExitCode {
    let error = Usage(error.to_string().trim_end().trim_start_matches("error: ").to_owned());
    output::last_words(output::escaped(&json_of(&error.into(), USAGE)));
    ExitCode::from(USAGE)
}

/// Prints the error with its causes, if there is one, and returns the exit code of the process. If nobody reads the output
/// any more (`stockline stock | head`), the process ends quietly, as by SIGPIPE.
pub(crate) fn finish(result: anyhow::Result<u8>, as_json: bool) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if output::is_closed(error.chain()) => ExitCode::from(output::EXIT_CLOSED),
        Err(error) if as_json => {
            let code = code_of(&error);
            output::last_words(output::escaped(&json_of(&error, code)));
            ExitCode::from(code)
        }
        Err(error) => {
            output::last_words(format_args!("error: {error:#}"));
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
