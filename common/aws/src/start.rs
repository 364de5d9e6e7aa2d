use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::sdk_error;

/// Why a program can't start with a resource of its configuration. The text names the problem and the remedy; the
/// caller puts the variable before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Credentials are missing or expired, or lack a permission.
    #[error("{0}")]
    Credentials(String),
    /// The resource does not exist.
    #[error("{0}")]
    Missing(String),
    /// The resource is of the wrong kind: a standard queue, a table with other keys.
    #[error("{0}")]
    WrongKind(String),
    /// The resource can't be reached now.
    #[error("{0}")]
    Unreachable(String),
}

/// The codes for a missing resource, of all services in use.
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

/// The codes for expired credentials.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// The codes for unknown credentials or a wrong signature.
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

/// The codes for a missing permission.
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
    /// Explains a failed call that checked `what` (`the queue https://…`) and needs the permission `needs`.
    pub(super) fn of_call<E>(what: &str, needs: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = sdk_error::code(error).unwrap_or_default();
        let text = sdk_error::text(error);
        if MISSING.contains(&code) {
            Self::Missing(format!(
                "{what} does not exist ({code}): create it with deploy/template.yaml, or correct its name, account and \
                 region"
            ))
        } else if EXPIRED.contains(&code) {
            Self::Credentials(format!("{what} can't be checked: the credentials have expired ({code}); renew them"))
        } else if UNKNOWN.contains(&code) {
            Self::Credentials(format!(
                "{what} can't be checked: the credentials are not valid ({text}); correct them, and check this \
                 machine's clock"
            ))
        } else if DENIED.contains(&code) {
            Self::Credentials(format!("{what} can't be checked: {needs} is not allowed ({text}); allow it in the role"))
        } else if is_without_credentials(error, &text) {
            Self::Credentials(format!(
                "{what} can't be checked: there are no credentials ({text}); give the task a role, or set \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ))
        } else if text.contains("Missing Region") {
            Self::WrongKind(format!("{what} can't be checked: no region is set; set AWS_REGION"))
        } else if is_final(error, code) {
            Self::WrongKind(format!("{what} is refused ({text}); correct its name, its region and AWS_REGION"))
        } else {
            Self::Unreachable(format!(
                "{what} can't be reached ({text}); check the network, AWS_REGION and AWS_ENDPOINT_URL"
            ))
        }
    }
}

/// Returns whether the service will give the same answer again: it calls the request wrong, not too frequent or too
/// late.
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
