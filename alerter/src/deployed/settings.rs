//! The alerter's configuration on AWS.

use stockline_aws::deployed::{self, Deployment, Logs};
use stockline_aws::is_mailbox;
use stockline_service::{Env, EnvError, Variable};

const ALERT_EMAILS: Variable = Variable::optional(
    "STOCKLINE_ALERT_EMAILS",
    "recipients of alerts from locations without addresses of their own, separated by commas",
);
const MAIL_FROM: Variable = Variable::required("STOCKLINE_MAIL_FROM", "sender of mails, verified in SES");
const MAIL_CONFIGURATION_SET: Variable =
    Variable::optional("STOCKLINE_MAIL_CONFIGURATION_SET", "name of the SES configuration set for mails");
const PUBLIC_URL: Variable =
    Variable::optional("STOCKLINE_PUBLIC_URL", "address of the API, which mails link to: https://stock.example.com");

/// All variables, as `--help` lists them.
pub(crate) const VARIABLES: &[Variable] = &[
    deployed::DEPLOYMENT,
    deployed::TABLE,
    ALERT_EMAILS,
    MAIL_FROM,
    MAIL_CONFIGURATION_SET,
    PUBLIC_URL,
    deployed::LOG,
    deployed::OTLP_ENDPOINT,
    deployed::METRICS_NAMESPACE,
];

/// The parsed configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) table: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) mail_from: String,
    pub(crate) mail_configuration_set: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) logs: Logs,
}

impl Settings {
    /// Parses the environment.
    ///
    /// # Errors
    /// Names every fault at once.
    pub(crate) fn read(mut env: Env) -> Result<Self, EnvError> {
        let env_ref = &mut env;
        let deployment = Deployment::read(env_ref);
        env_ref.require_lambda();
        let table = env_ref.text(&deployed::TABLE);
        let recipients = env_ref.list(&ALERT_EMAILS, mail_address).unwrap_or_default();
        let mail_from = env_ref.read(&MAIL_FROM, mail_address);
        let mail_configuration_set = env_ref.text(&MAIL_CONFIGURATION_SET);
        let public_url = deployment.url(env_ref, &PUBLIC_URL);
        let logs = Logs::read(env_ref);
        let settings = || {
            Some(Self {
                table: table?,
                recipients,
                mail_from: mail_from?,
                mail_configuration_set,
                public_url,
                logs: logs?,
            })
        };
        env.finish_with(settings())
    }
}

/// Checks a sender or a recipient as the mailer does.
fn mail_address(text: &str) -> Result<String, &'static str> {
    if is_mailbox(text) {
        Ok(text.to_owned())
    } else {
        Err("is not a mail address such as \"Stockline <alerts@example.com>\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(change: &[(&str, &str)]) -> Env {
        let mut pairs = vec![
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_MAIL_FROM", "stock@example.com"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_NAME", "alerter"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ];
        pairs.extend(change);
        Env::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn the_required_variables_are_enough_and_a_bad_address_is_refused() {
        let settings = Settings::read(env(&[("STOCKLINE_ALERT_EMAILS", "a@example.com, b@example.com")])).unwrap();
        assert_eq!(settings.recipients, ["a@example.com", "b@example.com"]);
        let text = Settings::read(env(&[("STOCKLINE_ALERT_EMAILS", "a@example.com,nobody")])).unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_ALERT_EMAILS is not a mail address"), "{text}");
    }

    #[test]
    fn every_variable_that_help_lists_is_read() {
        let empty: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, "")).collect();
        let text = Settings::read(env(&empty)).unwrap_err().to_string();
        assert!(!text.contains("is not a variable"), "{text}");
    }
}
