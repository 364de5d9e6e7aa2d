//! The text of an SDK error, short and on one line.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The most characters of an error's text.
const TEXT_MAX_CHARS: usize = 500;

/// Returns the service's error code without the prefixes of older protocols
/// (`AWS.SimpleQueueService.NonExistentQueue`, `com.amazonaws.sqs#QueueDoesNotExist`).
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code).map(bare_code)
}

pub(super) fn bare_code(code: &str) -> &str {
    code.rsplit(['.', '#']).next().unwrap_or(code)
}

/// Describes the failure in the service's own words, or the failure of the connection.
pub(super) fn text<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = match error {
        SdkError::ServiceError(of_service) => {
            let of_service = of_service.err();
            match (of_service.code(), of_service.message()) {
                (Some(code), Some(message)) => format!("{}: {message}", bare_code(code)),
                (Some(code), None) => bare_code(code).to_owned(),
                (None, _) => format!("HTTP status {}", status(error)),
            }
        }
        SdkError::ResponseError(_) => format!("unreadable answer, HTTP status {}", status(error)),
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        _ => chain(error),
    };
    short(&text)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> String {
    error.raw_response().map_or_else(|| "unknown".to_owned(), |response| response.status().as_u16().to_string())
}

/// Joins the texts of an error and its causes, without repetitions.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// Puts a text on one line and limits its length.
pub(super) fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(TEXT_MAX_CHARS).collect()
}
