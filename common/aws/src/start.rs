use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::sdk_error;

/// Why a program can't start on what its configuration names. The text names what was wrong and what to do; the
/// caller puts the variable before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Credentials are missing, expired or not allowed to do what is needed.
    #[error("{0}")]
    Credentials(String),
    /// What is named is not there.
    #[error("{0}")]
    Missing(String),
    /// It is there and of the wrong kind: a standard queue, a table with other keys.
    #[error("{0}")]
    WrongKind(String),
    /// It could not be reached.
    #[error("{0}")]
    Unreachable(String),
}

/// Codes of what is not there, of all services that are used.
const MISSING: [&str; 8] = [
    "QueueDoesNotExist",
    "NonExistentQueue",
    "InvalidAddress",
    "NotFound",
    "NotFoundException",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "InvalidTopic",
];

/// Codes of credentials that were good once.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// Codes of credentials that nobody knows, or of a signature that can't be right.
const UNKNOWN: [&str; 9] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
];

/// Codes of a permission that is missing.
const DENIED: [&str; 7] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "KmsAccessDenied",
    "KMSAccessDeniedException",
    "OptInRequired",
];

impl StartError {
    /// Of the call that looked at `what` (`the queue https://…`), which needs the permission `needs`.
    pub(super) fn of_call<E>(what: &str, needs: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = sdk_error::code(error).unwrap_or_default();
        let text = sdk_error::text(error);
        if MISSING.contains(&code) {
            Self::Missing(format!(
                "{what} is not there ({code}): create it with deploy/template.yaml, or correct its name, account and \
                 region"
            ))
        } else if EXPIRED.contains(&code) {
            Self::Credentials(format!("{what} can't be looked at: the credentials have expired ({code}); renew them"))
        } else if UNKNOWN.contains(&code) {
            Self::Credentials(format!(
                "{what} can't be looked at: the credentials are not valid ({text}); correct them, and check this \
                 machine's clock"
            ))
        } else if DENIED.contains(&code) {
            Self::Credentials(format!(
                "{what} can't be looked at: {needs} is not allowed ({text}); allow it to the role"
            ))
        } else if is_without_credentials(error, &text) {
            Self::Credentials(format!(
                "{what} can't be looked at: there are no credentials ({text}); give the task a role, or set \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ))
        } else if text.contains("Missing Region") {
            Self::WrongKind(format!("{what} can't be looked at: no region is set; set AWS_REGION"))
        } else if is_final(error, code) {
            Self::WrongKind(format!("{what} is refused ({text}); correct its name, its region and AWS_REGION"))
        } else {
            Self::Unreachable(format!(
                "{what} can't be reached ({text}); check the network, AWS_REGION and AWS_ENDPOINT_URL"
            ))
        }
    }
}

/// Will the service answer so again? A request that it calls wrong, and not one that came too often or too late.
fn is_final<E>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    const PASSING: [&str; 8] =
        ["Throttl", "TooMany", "Exceeded", "Timeout", "InProgress", "SlowDown", "Internal", "Unavailable"];
    let wrong = error.raw_response().is_some_and(|response| (400..429).contains(&response.status().as_u16()));
    wrong && !code.is_empty() && !PASSING.iter().any(|passing| code.contains(passing))
}

/// The SDK tells the lack of credentials as a request that was never sent.
fn is_without_credentials<E>(error: &SdkError<E, HttpResponse>, text: &str) -> bool {
    matches!(error, SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_))
        && (text.contains("credential") || text.contains("identity"))
}
