//! A DynamoDB engine in this process on a thread of its own, and clients of it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::BillingMode;
use stockline_common::aws::dynamodb::table;

use crate::meter::Meter;
use crate::side::SideServer;

/// The table's name.
pub(crate) const TABLE: &str = "stockline";

/// How long one attempt of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running engine; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Engine(SideServer);

impl Engine {
    /// An empty engine in memory.
    pub(crate) fn start() -> Result<Self> {
        let database = dynoxide::Database::memory().map_err(|error| anyhow!("the engine can't start: {error}"))?;
        let serve = async |listener| {
            // It ends when it is dropped; an error before shows in its first call.
            let _ = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await;
        };
        Ok(Self(SideServer::start("engine", serve)?))
    }

    /// A client of it, counted where a meter is given.
    pub(crate) fn client(&self, meter: Option<Meter>) -> aws_sdk_dynamodb::Client {
        dynamodb_client(self.0.url(), meter)
    }

    /// Makes Stockline's table.
    pub(crate) async fn create_table(&self) -> Result<()> {
        let request = self.client(None).create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
        request
            .set_attribute_definitions(Some(table::attribute_definitions()))
            .set_key_schema(Some(table::key_schema(table::PK, table::SK)))
            .set_global_secondary_indexes(Some(table::indexes()))
            .send()
            .await
            .context("the table can't be made")?;
        Ok(())
    }
}

/// A DynamoDB client of an endpoint on this machine.
pub(crate) fn dynamodb_client(url: &str, meter: Option<Meter>) -> aws_sdk_dynamodb::Client {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(url)
        .retry_config(RetryConfig::standard())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build());
    if let Some(meter) = meter {
        config = config.interceptor(meter);
    }
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// An SQS client of an endpoint on this machine.
pub(crate) fn sqs_client(url: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(url)
        .retry_config(RetryConfig::standard())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build());
    aws_sdk_sqs::Client::from_conf(config.build())
}

/// Nobody checks these.
fn credentials() -> Credentials {
    Credentials::new("bench", "bench", None, None, "bench")
}
