//! What the SDK reports, as the ports say it.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::sdk_error;
use stockline_core::ports::StoreError;

/// Makes the error of a call that failed in all of the SDK's attempts. Whether a write took effect is unknown.
pub(super) fn unavailable<E>(operation: &str, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    StoreError::Unavailable(format!("{operation}: {}", describe(error)))
}

/// Describes the failure in one line, with the remedy if it is known.
pub(super) fn describe<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let advice = sdk_error::code(error).map_or("", advice);
    format!("{}{advice}", sdk_error::text(error))
}

fn advice(code: &str) -> &'static str {
    match code {
        "ResourceNotFoundException" => " (does the table exist in this account and region?)",
        "AccessDeniedException" => " (allow it in the role that this program runs under)",
        "ExpiredTokenException" | "ExpiredToken" | "UnrecognizedClientException" => " (renew the credentials)",
        _ => "",
    }
}

/// Returns whether DynamoDB refuses this request for ever as invalid or too large; never for throttling or a conflict.
pub(super) fn is_refusal<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    const CONTENT_TOO_LARGE: u16 = 413;
    let SdkError::ServiceError(service) = error else {
        return false;
    };
    let code = service.err().code();
    matches!(code, Some("ValidationException" | "SerializationException" | "ItemCollectionSizeLimitExceededException"))
        || service.raw().status().as_u16() == CONTENT_TOO_LARGE
}
