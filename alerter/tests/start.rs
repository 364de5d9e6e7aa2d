//! How the deployed binary starts, or refuses to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

const REQUIRED: &[&str] = &["STOCKLINE_TABLE", "STOCKLINE_MAIL_FROM"];

/// The errors of the values that the second test sets.
const BAD_NAMED: &[&str] =
    &["STOCKLINE_ALERT_EMAILS is not a mail address", "STOCKLINE_PUBLIC_URL must be an address such as"];

/// All required variables, with valid values.
const GOOD: &[(&str, &str)] = &[
    ("STOCKLINE_TABLE", "stock"),
    ("STOCKLINE_MAIL_FROM", "stock@example.com"),
    ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
    ("AWS_LAMBDA_FUNCTION_NAME", "alerter"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
];

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alerter"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}

/// Returns the standard error of a start that the configuration does not allow.
fn refused(variables: &[(&str, &str)]) -> String {
    let output = start(&[], variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty());
    text
}

fn with(change: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    GOOD.iter().chain(change).copied().collect()
}

#[test]
fn with_nothing_configured_every_required_variable_is_named() {
    let text = refused(&[]);
    for name in REQUIRED {
        assert!(text.contains(&format!("{name} is required: ")), "{name}: {text}");
    }
}

#[test]
fn bad_values_and_unknown_variables_are_named_all_at_once_and_never_shown() {
    let mut variables = with(&[("STOCKLINE_TABEL", "s3cret"), ("STOCKLINE_LOG", "no=such=s3cret")]);
    variables.extend([("STOCKLINE_ALERT_EMAILS", "stock@example.com,s3cret"), ("STOCKLINE_PUBLIC_URL", "s3cret")]);
    let text = refused(&variables);
    for name in ["STOCKLINE_TABEL is not a variable", "STOCKLINE_LOG "].iter().chain(BAD_NAMED) {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn production_refuses_stand_ins_by_name() {
    let text = refused(&with(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ]));
    assert!(text.contains("AWS_ENDPOINT_URL_DYNAMODB is set: production takes no stand-in"), "{text}");
    assert!(text.contains("AWS_ENDPOINT_URL is set: production takes no stand-in"), "{text}");
}

#[test]
fn help_lists_every_variable() {
    let output = start(&["--help"], &[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for name in REQUIRED.iter().chain(&["STOCKLINE_ENV", "STOCKLINE_LOG"]) {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn an_unknown_argument_is_refused() {
    let output = start(&["--no-such-thing"], GOOD);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn outside_lambda_it_says_that_it_is_a_function() {
    let text = refused(&GOOD[..2]);
    assert!(text.contains("AWS_LAMBDA_RUNTIME_API"), "{text}");
    assert!(text.contains("a function that it runs"), "{text}");
}
