/// Publishes alerts to an SNS topic.
#[derive(Debug)]
pub struct SnsPublisher {
    _client: aws_sdk_sns::Client,
}
