//! The deployed program starts, or refuses its configuration.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

const REQUIRED: &[&str] =
    &["STOCKLINE_TABLE", "STOCKLINE_QUEUE_URL", "STOCKLINE_ISSUER", "STOCKLINE_CLIENT_IDS", "STOCKLINE_RECEIPT_KEYS"];

/// The variables that the second test makes invalid.
const BAD_NAMED: &[&str] = &[
    "STOCKLINE_RECEIPT_KEYS must be keys of at least 32 bytes",
    "STOCKLINE_LISTEN must be an address and a port",
    "STOCKLINE_STAFF_MAY ",
    "STOCKLINE_RATE_PER_S must be a whole number from 0",
    "STOCKLINE_REQUIRE_LOCATION must be true or false",
    "STOCKLINE_JWKS_URL must begin with https:// in production",
];

/// All required variables, with valid values.
const GOOD: &[(&str, &str)] = &[
    ("STOCKLINE_TABLE", "stock"),
    ("STOCKLINE_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/commands.fifo"),
    ("STOCKLINE_ISSUER", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x"),
    ("STOCKLINE_CLIENT_IDS", "tills"),
    ("STOCKLINE_RECEIPT_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingress"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}

/// Starts the program with a configuration that it refuses, and returns its standard error.
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
    variables.extend([
        ("STOCKLINE_RECEIPT_KEYS", "s3cret"),
        ("STOCKLINE_LISTEN", "s3cret"),
        ("STOCKLINE_STAFF_MAY", "everything"),
        ("STOCKLINE_RATE_PER_S", "-1"),
        ("STOCKLINE_REQUIRE_LOCATION", "s3cret"),
        ("STOCKLINE_JWKS_URL", "http://127.0.0.1:1/s3cret"),
    ]);
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
fn the_help_lists_every_variable() {
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
fn a_probe_without_a_server_fails_and_needs_only_the_address() {
    for (address, why) in [("127.0.0.1:9", "127.0.0.1:9 does not answer"), ("9", "STOCKLINE_LISTEN must be an address")]
    {
        let output = start(&["probe"], &[("STOCKLINE_LISTEN", address), ("STOCKLINE_TABEL", "x")]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
}
