/// Sends mails by SES v2.
#[derive(Debug)]
pub struct SesMailer {
    _client: aws_sdk_sesv2::Client,
}
