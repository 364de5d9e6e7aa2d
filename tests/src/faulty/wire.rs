use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::{ErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::describe_table::builders::DescribeTableInputBuilder;
use aws_sdk_dynamodb::operation::describe_table::{DescribeTableError, DescribeTableOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_get_items::{TransactGetItemsError, TransactGetItemsOutput};
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use stockline_aws::dynamodb::{Wire, table};

use super::{Edge, Kind, Plan, Point};

/// The purpose of the API calls of one port call.
#[derive(Clone, Default)]
pub(super) struct Purpose {
    /// The purposes of the port call.
    pub(super) edges: Vec<Edge>,
    /// The error that the service returns to every caller: the reason of a cancelled transaction, or a refusal.
    pub(super) answer: Option<&'static str>,
    /// Is called after a write took effect, also if its caller gets no answer.
    pub(super) done: Option<Arc<dyn Fn() + Send + Sync>>,
}

tokio::task_local! {
    static PURPOSE: Purpose;
}

impl Purpose {
    /// Does `work`, whose API calls have this purpose.
    pub(super) async fn of<T>(self, work: impl Future<Output = T>) -> T {
        PURPOSE.scope(self, work).await
    }

    fn now() -> Self {
        PURPOSE.try_with(Clone::clone).unwrap_or_default()
    }
}

/// The wire of one process to the table, between the real adapter and the real client. Each call of DynamoDB's API can
/// have its own fault.
#[derive(Debug)]
pub struct FaultyWire {
    /// The faults.
    pub plan: Arc<Plan>,
    /// The client.
    pub client: Arc<dyn Wire>,
}

fn refused<E>(error: E) -> SdkError<E> {
    SdkError::service_error(error, HttpResponse::new(400_u16.try_into().unwrap(), SdkBody::empty()))
}

fn throttled() -> ErrorMetadata {
    ErrorMetadata::builder().code("ProvisionedThroughputExceededException").message("as planned").build()
}

/// Returns a cancelled transaction whose first action has this reason.
fn cancelled(actions: usize, code: &str) -> TransactWriteItemsError {
    let reason = |code: &str| CancellationReason::builder().code(code).build();
    let reasons = std::iter::once(reason(code)).chain((1..actions).map(|_| reason("None"))).collect();
    let cancelled =
        TransactionCanceledException::builder().message("as planned").set_cancellation_reasons(Some(reasons));
    TransactWriteItemsError::TransactionCanceledException(cancelled.build())
}

fn begins(value: Option<&AttributeValue>, with: &str) -> bool {
    value.and_then(|value| value.as_s().ok()).is_some_and(|text| text.starts_with(with))
}

impl FaultyWire {
    /// Makes one call as planned. A failure is `error`, and a lost answer is the timeout of the client.
    async fn call<A, E>(
        &self,
        api: &'static str,
        error: E,
        work: impl Future<Output = Result<A, SdkError<E>>>,
    ) -> Result<A, SdkError<E>> {
        let Purpose { edges, done, .. } = Purpose::now();
        let work = async {
            let answer = work.await;
            if let (Ok(_), Some(done)) = (&answer, &done) {
                done();
            }
            answer
        };
        match self.plan.around(Point::Api(api), edges, work).await {
            Ok(answer) => answer,
            Err(Kind::LoseAnswer) => Err(SdkError::timeout_error("no answer came")),
            Err(_) => Err(refused(error)),
        }
    }
}

#[async_trait]
impl Wire for FaultyWire {
    async fn get_item(&self, input: GetItemInputBuilder) -> Result<GetItemOutput, SdkError<GetItemError>> {
        let work = async {
            match Purpose::now().answer {
                Some(_) => Err(refused(GetItemError::generic(throttled()))),
                None => self.client.get_item(input).await,
            }
        };
        self.call("GetItem", GetItemError::generic(throttled()), work).await
    }

    async fn batch_get_item(
        &self,
        input: BatchGetItemInputBuilder,
    ) -> Result<BatchGetItemOutput, SdkError<BatchGetItemError>> {
        let mut keys =
            input.get_request_items().iter().flat_map(|tables| tables.values()).flat_map(|asked| asked.keys());
        let api = match keys.any(|key| begins(key.get(table::SK), "LEVEL#")) {
            true => "BatchGetItem (levels)",
            false => "BatchGetItem",
        };
        self.call(api, BatchGetItemError::generic(throttled()), self.client.batch_get_item(input)).await
    }

    async fn query(&self, input: QueryInputBuilder) -> Result<QueryOutput, SdkError<QueryError>> {
        let api = if input.get_index_name().is_some() { "Query (an index)" } else { "Query" };
        self.call(api, QueryError::generic(throttled()), self.client.query(input)).await
    }

    async fn scan(&self, input: ScanInputBuilder) -> Result<ScanOutput, SdkError<ScanError>> {
        self.call("Scan", ScanError::generic(throttled()), self.client.scan(input)).await
    }

    async fn put_item(&self, input: PutItemInputBuilder) -> Result<PutItemOutput, SdkError<PutItemError>> {
        let of_month =
            input.get_item().iter().any(|row| row.get(table::PK) == Some(&AttributeValue::S("ALERT".into())));
        let api = if of_month { "PutItem (the month)" } else { "PutItem" };
        self.call(api, PutItemError::generic(throttled()), self.client.put_item(input)).await
    }

    async fn update_item(&self, input: UpdateItemInputBuilder) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
        self.call("UpdateItem", UpdateItemError::generic(throttled()), self.client.update_item(input)).await
    }

    async fn transact_get_items(
        &self,
        input: TransactGetItemsInputBuilder,
    ) -> Result<TransactGetItemsOutput, SdkError<TransactGetItemsError>> {
        let error = TransactGetItemsError::generic(throttled());
        self.call("TransactGetItems", error, self.client.transact_get_items(input)).await
    }

    async fn transact_write_items(
        &self,
        input: TransactWriteItemsInputBuilder,
    ) -> Result<TransactWriteItemsOutput, SdkError<TransactWriteItemsError>> {
        let actions = input.get_transact_items().as_ref().map_or(0, Vec::len);
        let work = async {
            match Purpose::now().answer {
                Some(code) => Err(refused(cancelled(actions, code))),
                None => self.client.transact_write_items(input).await,
            }
        };
        self.call("TransactWriteItems", cancelled(actions, "TransactionConflict"), work).await
    }

    async fn describe_table(
        &self,
        input: DescribeTableInputBuilder,
    ) -> Result<DescribeTableOutput, SdkError<DescribeTableError>> {
        self.client.describe_table(input).await
    }
}
