//! Runs a DynamoDB engine in this process on its own thread, and makes clients for it.

use anyhow::{Context, Result, anyhow};
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use stockline_aws::Clients;
use stockline_aws::dynamodb::table;

use crate::background_server::BackgroundServer;
use crate::meter::Meter;

/// The name of the table.
pub(crate) const TABLE: &str = "stockline";

/// A running engine. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Engine(BackgroundServer);

impl Engine {
    /// Starts an empty engine in memory.
    pub(crate) fn start() -> Result<Self> {
        let database = dynoxide::Database::memory().map_err(|error| anyhow!("the engine can't start: {error}"))?;
        let serve = async |listener| {
            // It stops when it is dropped. An earlier error shows up in the first call.
            let _ = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await;
        };
        Ok(Self(BackgroundServer::start("engine", serve)?))
    }

    /// Returns a client; a meter, if given, counts its calls.
    pub(crate) fn client(&self, meter: Option<Meter>) -> aws_sdk_dynamodb::Client {
        dynamodb_client(self.0.url(), meter)
    }

    /// Creates Stockline's table.
    pub(crate) async fn create_table(&self) -> Result<()> {
        table::creation(&self.client(None), TABLE).send().await.context("can't create the table")?;
        Ok(())
    }
}

/// Returns a DynamoDB client for a local endpoint, with the deadlines of the deployed programs.
pub(crate) fn dynamodb_client(url: &str, meter: Option<Meter>) -> aws_sdk_dynamodb::Client {
    let client = clients(url).dynamodb;
    match meter {
        Some(meter) => aws_sdk_dynamodb::Client::from_conf(client.config().to_builder().interceptor(meter).build()),
        None => client,
    }
}

/// Returns an SQS client for a local endpoint.
pub(crate) fn sqs_client(url: &str) -> aws_sdk_sqs::Client {
    clients(url).sqs
}

fn clients(url: &str) -> Clients {
    // The local endpoints check no credentials.
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    let found = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .retry_config(RetryConfig::standard())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Clients::from_sdk_config(&found)
}
