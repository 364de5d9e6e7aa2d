/// The SDK's clients, made once per process and shared.
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
    /// From the environment: region, credentials, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`.
    pub async fn connect() -> Self {
        unimplemented!("comes with this module")
    }
}
