//! Tests how each deployed program starts or refuses to start.

use std::process::{Command, Output};

use stockline_deploy_checks::programs::binary;

type Variables = &'static [(&'static str, &'static str)];

/// A deployed program and its configuration.
#[derive(Debug)]
struct Program {
    name: &'static str,
    required: &'static [&'static str],
    /// All required variables, with plausible values.
    good: Variables,
    /// Bad values. A value contains [`SECRET`] if the error could show it.
    bad: Variables,
    /// The errors of the bad values.
    errors: &'static [&'static str],
    /// The variable with the address that the program's probe calls. The alerter has no probe.
    probed: Option<&'static str>,
}

/// The value that no error may show.
const SECRET: &str = "s3cret";

const PROGRAMS: [Program; 3] = [
    Program {
        name: "ingress",
        required: &[
            "STOCKLINE_TABLE",
            "STOCKLINE_QUEUE_URL",
            "STOCKLINE_ISSUER",
            "STOCKLINE_CLIENT_IDS",
            "STOCKLINE_RECEIPT_KEYS",
        ],
        good: &[
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/commands.fifo"),
            ("STOCKLINE_ISSUER", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x"),
            ("STOCKLINE_CLIENT_IDS", "tills"),
            ("STOCKLINE_RECEIPT_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ],
        bad: &[
            ("STOCKLINE_RECEIPT_KEYS", "s3cret"),
            ("STOCKLINE_LISTEN", "s3cret"),
            ("STOCKLINE_STAFF_MAY", "everything"),
            ("STOCKLINE_RATE_PER_S", "-1"),
            ("STOCKLINE_REQUIRE_LOCATION", "s3cret"),
            ("STOCKLINE_JWKS_URL", "http://127.0.0.1:1/s3cret"),
        ],
        errors: &[
            "STOCKLINE_RECEIPT_KEYS must be keys of at least 32 bytes",
            "STOCKLINE_LISTEN must be an address and a port",
            "STOCKLINE_STAFF_MAY ",
            "STOCKLINE_RATE_PER_S must be a whole number from 0",
            "STOCKLINE_REQUIRE_LOCATION must be true or false",
            "STOCKLINE_JWKS_URL must begin with https:// in production",
        ],
        probed: Some("STOCKLINE_LISTEN"),
    },
    Program {
        name: "worker",
        required: &["STOCKLINE_TABLE", "STOCKLINE_QUEUE_URL", "STOCKLINE_DLQ_URL", "STOCKLINE_TOPIC_ARN"],
        good: &[
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/commands.fifo"),
            ("STOCKLINE_DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/1/dead.fifo"),
            ("STOCKLINE_TOPIC_ARN", "arn:aws:sns:eu-central-1:1:alerts"),
        ],
        bad: &[
            ("STOCKLINE_TOPIC_ARN", "s3cret"),
            ("STOCKLINE_PERMITS", "0"),
            ("STOCKLINE_VISIBILITY_S", "1"),
            ("STOCKLINE_ENV", "s3cret"),
            ("STOCKLINE_DLQ_URL", "http://127.0.0.1:1/s3cret"),
        ],
        errors: &[
            "STOCKLINE_TOPIC_ARN must be an ARN",
            "STOCKLINE_PERMITS must be a whole number from 1 to 256",
            "STOCKLINE_VISIBILITY_S must be a whole number from 10",
            "STOCKLINE_ENV must be production or test",
            "STOCKLINE_DLQ_URL must begin with https:// in production",
        ],
        probed: Some("STOCKLINE_HEALTH_LISTEN"),
    },
    Program {
        name: "alerter",
        required: &["STOCKLINE_TABLE", "STOCKLINE_MAIL_FROM"],
        good: &[
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_MAIL_FROM", "stock@example.com"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
            ("AWS_LAMBDA_FUNCTION_NAME", "alerter"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ],
        bad: &[("STOCKLINE_ALERT_EMAILS", "stock@example.com,s3cret"), ("STOCKLINE_PUBLIC_URL", "s3cret")],
        errors: &["STOCKLINE_ALERT_EMAILS is not a mail address", "STOCKLINE_PUBLIC_URL must be an address such as"],
        probed: None,
    },
];

impl Program {
    fn of(name: &str) -> &'static Self {
        PROGRAMS.iter().find(|program| program.name == name).unwrap()
    }

    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(binary(self.name));
        command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
    }

    /// Starts the program with a configuration that it refuses, and returns its standard error.
    fn refused(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.start(arguments, variables);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{}: {text}", self.name);
        assert!(output.stdout.is_empty(), "{}", self.name);
        text
    }

    fn good_and(&self, change: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        self.good.iter().chain(change).copied().collect()
    }
}

fn assert_names(program: &Program, text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{}: {wanted}: {text}", program.name);
}

#[test]
fn with_nothing_configured_every_required_variable_is_named() {
    for program in &PROGRAMS {
        let text = program.refused(&[], &[]);
        for name in program.required {
            assert_names(program, &text, &format!("{name} is required: "));
        }
    }
}

#[test]
fn bad_values_and_unknown_variables_are_named_all_at_once_and_never_shown() {
    for program in &PROGRAMS {
        let mut variables = program.good_and(&[("STOCKLINE_TABEL", SECRET), ("STOCKLINE_LOG", "no=such=s3cret")]);
        variables.extend(program.bad);
        let text = program.refused(&[], &variables);
        for error in ["STOCKLINE_TABEL is not a variable", "STOCKLINE_LOG "].iter().chain(program.errors) {
            assert_names(program, &text, error);
        }
        assert!(!text.contains(SECRET), "{}: {text}", program.name);
    }
}

#[test]
fn production_refuses_stand_ins_by_name() {
    for program in &PROGRAMS {
        let stand_ins = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
        let text = program.refused(&[], &program.good_and(&stand_ins.map(|name| (name, "http://127.0.0.1:1"))));
        for name in stand_ins {
            assert_names(program, &text, &format!("{name} is set: production takes no stand-in"));
        }
    }
}

#[test]
fn help_names_every_variable() {
    for program in &PROGRAMS {
        let output = program.start(&["--help"], &[]);
        assert!(output.status.success(), "{}", program.name);
        let text = String::from_utf8(output.stdout).unwrap();
        for name in program.required.iter().chain(&["STOCKLINE_ENV", "STOCKLINE_LOG"]) {
            assert_names(program, &text, name);
        }
    }
}

#[test]
fn an_unknown_argument_is_refused() {
    for program in &PROGRAMS {
        let output = program.start(&["--no-such-thing"], program.good);
        assert_eq!(output.status.code(), Some(2), "{}", program.name);
    }
}

#[test]
fn a_probe_that_nothing_answers_fails_and_needs_no_configuration_but_the_address() {
    for program in &PROGRAMS {
        let Some(variable) = program.probed else { continue };
        for (address, error) in
            [("127.0.0.1:9", "127.0.0.1:9 does not answer".to_owned()), ("9", format!("{variable} must be an address"))]
        {
            let output = program.start(&["probe"], &[(variable, address), ("STOCKLINE_TABEL", "x")]);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{}: {text}", program.name);
            assert_names(program, &text, &error);
        }
    }
}

#[test]
fn outside_of_lambda_the_alerter_says_what_it_is() {
    let alerter = Program::of("alerter");
    let text = alerter.refused(&[], &alerter.good[..2]);
    assert_names(alerter, &text, "AWS_LAMBDA_RUNTIME_API");
    assert_names(alerter, &text, "a function that it runs");
}
