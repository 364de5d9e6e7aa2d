//! What the server answers to batches and questions, and what a refused line is told.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use stockline_core::domain::{CommandId, Timestamp};

use crate::problem::{Problem, told};

#[derive(Debug, Deserialize)]
struct Answers<T> {
    results: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BatchAnswer {
    pub(super) status: String,
    pub(super) status_url: Option<String>,
    pub(super) problem: Option<Problem>,
}

#[derive(Debug, Serialize)]
pub(super) struct StatusQuestion<'a> {
    pub(super) item_id: &'a str,
    pub(super) command_id: CommandId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipt: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StatusAnswer {
    pub(super) status: String,
    pub(super) outcome: Option<Outcome>,
    pub(super) problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) accepted_at: Timestamp,
    #[serde(default)]
    pub(super) effects: Vec<Effect>,
    pub(super) rejection: Option<Rejection>,
    pub(super) dead_letter: Option<DeadLetter>,
    pub(super) resubmitted_as: Option<ResubmittedAs>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Effect {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) quantity: String,
    #[serde(default)]
    pub(super) after: String,
    #[serde(default)]
    pub(super) late: bool,
    #[serde(default)]
    pub(super) clock_ahead: bool,
}

impl Effect {
    /// Reports whether it is a count that kept movements after it.
    pub(super) fn kept_later(&self) -> bool {
        self.kind == "count" && !self.late && self.after != self.quantity
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ResubmittedAs {
    pub(super) item_id: String,
    pub(super) command_id: CommandId,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rejection {
    pub(super) code: String,
    pub(super) detail: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) reason: String,
}

/// Returns what a refused command is told.
pub(super) fn problem_of(outcome: Outcome) -> Problem {
    let (code, detail) = match (outcome.rejection, outcome.dead_letter) {
        (Some(rejection), _) => (rejection.code, rejection.detail),
        (None, letter) => ("dead_lettered".to_owned(), letter.map(|letter| letter.reason).unwrap_or_default()),
    };
    Problem { code, detail, ..Problem::default() }
}

/// Returns the code and the text that say best why a line was refused: its faults, if the problem names them.
pub(super) fn reason_of(problem: &Problem) -> (String, String) {
    let Some(first) = problem.errors.first() else {
        let detail = match problem.code.as_str() {
            "command_id_reused" => {
                "an event of this id has other contents, and this line took no effect: if it is another \
                 event, name this file's events with --batch NAME; else correct the line"
                    .to_owned()
            }
            _ => told(&problem.detail),
        };
        return (problem.code.clone(), detail);
    };
    // What the API advises for JSON, for the cell of a file.
    let of_a_file = |detail: &str| {
        let detail = detail.replace("null clears", "the word none clears");
        let advice = [
            ("must be above 0, not -", "--negative return takes such lines as returns"),
            ("is not a plain decimal number", "--decimal , reads 0,375 and 1.250,5"),
            ("must be 1 to 32 characters", "an empty cell does not mean main"),
        ];
        let advice = advice.iter().find(|(fault, _)| detail.contains(fault));
        advice.map_or(detail.clone(), |(_, advice)| format!("{detail} ({advice})"))
    };
    let faults = problem.errors.iter().map(|fault| {
        // A pointer such as `/commands/3/quantity` counts within the request, which the reader of a file does not see.
        let field = fault.pointer.strip_prefix("/commands/").and_then(|rest| rest.split_once('/'));
        let field = field.map_or(fault.pointer.trim_start_matches('/'), |(_, field)| field);
        format!("{field} {}", of_a_file(&fault.detail))
    });
    (first.code.clone(), faults.collect::<Vec<_>>().join("; "))
}

/// Returns the receipt in a status address.
pub(super) fn receipt_of(status_url: Option<&str>) -> Option<String> {
    let (_, query) = status_url?.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("receipt=")).map(str::to_owned)
}

/// Parses the answers, one for each line.
pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8], lines: usize) -> anyhow::Result<Vec<T>> {
    let answers: Answers<T> =
        serde_json::from_slice(bytes).context("the server's answer can't be read: is it a Stockline server?")?;
    let count = answers.results.len();
    if count != lines {
        bail!("the server answered {count} lines of {lines}: is it a Stockline server?");
    }
    Ok(answers.results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_found_in_the_status_address() {
        let url = "/v1/items/cola/commands/x?receipt=AQAB_-c";
        assert_eq!(receipt_of(Some(url)).as_deref(), Some("AQAB_-c"));
        assert_eq!(receipt_of(Some("/v1/items/cola/commands/x")), None);
    }

    #[test]
    fn the_reason_names_the_field_without_its_place_in_the_request() {
        let fault = crate::problem::ProblemFault {
            pointer: "/commands/17/quantity".into(),
            code: "invalid_value".into(),
            detail: "must be above 0, not 0".into(),
        };
        let problem = Problem { code: "invalid_command".into(), errors: vec![fault], ..Problem::default() };
        assert_eq!(reason_of(&problem), ("invalid_value".into(), "quantity must be above 0, not 0".into()));
        let reused =
            Problem { code: "command_id_reused".into(), detail: "another holds it".into(), ..Problem::default() };
        assert!(reason_of(&reused).1.contains("--batch"), "a file names its events, and has no ids to change");
        let refused = Problem { code: "unknown_item".into(), detail: "no such item".into(), ..Problem::default() };
        assert_eq!(reason_of(&refused), ("unknown_item".into(), "no such item".into()));
    }
}
