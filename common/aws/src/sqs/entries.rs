//! The results of batch calls, entry by entry.

use std::error::Error;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{batch, sdk_error};
use stockline_core::ports::QueueError;

/// Returns the id of an entry in its call.
pub(super) fn entry_id(place: usize) -> String {
    place.to_string()
}

/// Orders the results of a call's `count` entries. An entry that the answer does not name has failed.
pub(super) fn results<'a>(
    count: usize,
    successful: impl IntoIterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Result<(), QueueError>> {
    let unnamed = QueueError::Unavailable("SQS returned no result for this message".into());
    let successful = successful.into_iter().map(|id| (id, Ok(())));
    let failed =
        failed.iter().map(|entry| (entry.id(), Err(queue_error(entry.code(), entry.message().unwrap_or_default()))));
    batch::results(count, unnamed, successful.chain(failed))
}

/// Returns the results of a call that failed as a whole.
pub(super) fn all_failed<E>(count: usize, error: &SdkError<E, HttpResponse>) -> Vec<Result<(), QueueError>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    vec![Err(call_error(error)); count]
}

/// Translates the error of a call that failed as a whole.
pub(super) fn call_error<E>(error: &SdkError<E, HttpResponse>) -> QueueError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let of_service = error.as_service_error();
    match of_service.and_then(|error| Some((error.code()?, error.message().unwrap_or_default()))) {
        Some((code, message)) if is_handle_expired(sdk_error::bare_code(code), message) => QueueError::HandleExpired,
        _ => QueueError::Unavailable(sdk_error::text(error)),
    }
}

fn queue_error(code: &str, message: &str) -> QueueError {
    let code = sdk_error::bare_code(code);
    if is_handle_expired(code, message) {
        QueueError::HandleExpired
    } else {
        QueueError::Unavailable(sdk_error::short(&format!("{code}: {message}")))
    }
}

/// Recognises an expired handle. FIFO queues report it as an invalid parameter, with the reason only in words; AWS
/// documents the codes, and the words are from its answers.
fn is_handle_expired(code: &str, message: &str) -> bool {
    match code {
        "ReceiptHandleIsInvalid" | "MessageNotInflight" => true,
        "InvalidParameterValue" | "InvalidParameterValueException" => {
            message.contains("ReceiptHandle")
                || message.contains("receipt handle")
                || message.contains("not available for visibility timeout change")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, code: &str, message: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).code(code).message(message).sender_fault(true).build().unwrap()
    }

    #[test]
    fn each_entry_has_its_own_result_and_an_unnamed_entry_has_failed() {
        let expired = "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        let answers = results(
            5,
            ["3", "17", "x"],
            &[failed("0", "InvalidParameterValue", expired), failed("1", "InternalError", "try\nagain")],
        );
        assert!(matches!(answers[0], Err(QueueError::HandleExpired)));
        assert!(matches!(&answers[1], Err(QueueError::Unavailable(text)) if text == "InternalError: try again"));
        assert!(matches!(&answers[2], Err(QueueError::Unavailable(text)) if text.contains("returned no result")));
        assert!(answers[3].is_ok());
        assert!(answers[4].is_err());
    }

    #[test]
    fn every_spelling_of_an_expired_handle_is_recognised_and_no_other_fault() {
        let not_in_flight = "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is \
                             not available for visibility timeout change.";
        for (code, message) in [
            ("ReceiptHandleIsInvalid", ""),
            ("AWS.SimpleQueueService.MessageNotInflight", ""),
            ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "The receipt handle has expired"),
            ("InvalidParameterValue", not_in_flight),
            ("InvalidParameterValue", "Reason: The receipt handle has expired."),
        ] {
            assert!(matches!(queue_error(code, message), QueueError::HandleExpired), "{code} {message}");
        }
        for (code, message) in [
            ("InvalidParameterValue", "Value 50000 for parameter VisibilityTimeout is invalid."),
            ("RequestThrottled", "ReceiptHandle"),
            ("QueueDoesNotExist", ""),
        ] {
            assert!(matches!(queue_error(code, message), QueueError::Unavailable(_)), "{code} {message}");
        }
    }
}
