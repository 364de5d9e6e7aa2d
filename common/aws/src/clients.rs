use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// The most attempts of a call, the first included.
const ATTEMPTS: u32 = 3;

/// The first and the longest pause between attempts. The SDK multiplies each by a random number up to 1.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The deadline for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The deadlines of one attempt and of the whole call. The packer waits 3 s for a send and the alerter 30 s for a mail.
/// A call ends before that, so its own error is the one reported.
const DYNAMODB_TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));
const SQS_TIMEOUTS: (Duration, Duration) = (Duration::from_millis(1_200), Duration::from_millis(2_800));
const SNS_TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));
const SES_TIMEOUTS: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(25));

/// The SDK's clients, made once per process and shared.
///
/// The clients repeat calls: three attempts with growing, jittered pauses and a deadline on each attempt and on the
/// whole call. A receive waits long, so it sets its own deadlines. A mail has one attempt, because a repetition after a
/// lost answer would send it twice; its alert returns through the queue.
#[derive(Debug, Clone)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SES v2.
    pub ses: aws_sdk_sesv2::Client,
}

impl Clients {
    /// Reads region, credentials, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` from the environment. It makes no
    /// call, so wrong values show at the first call: let every adapter `check()` at start.
    pub async fn from_env() -> Self {
        let pauses = RetryConfig::standard().with_initial_backoff(PAUSES.0).with_max_backoff(PAUSES.1);
        let found = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(pauses.with_max_attempts(ATTEMPTS))
            // Every call has a deadline and a short answer, so slow streams need no separate protection.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .load()
            .await;
        Self::from_sdk_config(&found)
    }

    /// Makes clients from a configuration, with the deadlines that it does not set.
    pub fn from_sdk_config(found: &SdkConfig) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&within(found, DYNAMODB_TIMEOUTS)),
            sqs: aws_sdk_sqs::Client::new(&within(found, SQS_TIMEOUTS)),
            sns: aws_sdk_sns::Client::new(&within(found, SNS_TIMEOUTS)),
            ses: aws_sdk_sesv2::Client::new(&once(within(found, SES_TIMEOUTS))),
        }
    }
}

fn once(found: SdkConfig) -> SdkConfig {
    found.into_builder().retry_config(RetryConfig::disabled()).build()
}

fn within(found: &SdkConfig, (attempt, call): (Duration, Duration)) -> SdkConfig {
    let ours = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(call)
        .build();
    let mut timeouts = found.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    timeouts.take_defaults_from(&ours);
    found.to_builder().timeout_config(timeouts).build()
}
