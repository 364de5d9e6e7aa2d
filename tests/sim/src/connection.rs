//! One process's connection to the table, and the errors that a call can return.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::error::{ConditionalCheckFailedException, ProvisionedThroughputExceededException};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::expression::Row;
use super::table::Table;
use super::tamper::Tamper;
use super::world::{Process, World};

/// The name of the table.
pub(crate) const TABLE: &str = "stockline";

/// One process's connection to the table.
#[derive(Debug)]
pub(crate) struct SimWire {
    pub(crate) process: Arc<Process>,
    pub(crate) table: Arc<Mutex<Table>>,
    /// For [`Tamper::ItemFirst`]: the item as it was when its levels were requested.
    pub(crate) early: Mutex<HashMap<String, Option<Arc<Row>>>>,
}

pub(crate) fn refused<E>(error: E) -> SdkError<E> {
    SdkError::service_error(error, HttpResponse::new(400_u16.try_into().unwrap(), SdkBody::empty()))
}

pub(crate) fn lost<E>() -> SdkError<E> {
    SdkError::timeout_error("no answer came")
}

pub(crate) fn throttled() -> ProvisionedThroughputExceededException {
    ProvisionedThroughputExceededException::builder().message("slow down").build()
}

impl SimWire {
    pub(crate) fn new(process: Arc<Process>, table: Arc<Mutex<Table>>) -> Self {
        Self { process, table, early: Mutex::default() }
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.process.world
    }

    pub(crate) fn is(&self, tamper: Tamper) -> bool {
        self.world().is(tamper)
    }
}

/// Returns the service's error for a failed condition.
pub(crate) fn failed(stored: Option<Row>) -> ConditionalCheckFailedException {
    ConditionalCheckFailedException::builder().set_item(stored).build()
}
