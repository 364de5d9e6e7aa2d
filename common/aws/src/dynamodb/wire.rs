//! The boundary between the store's protocol and DynamoDB.
//!
//! The store builds the SDK's own inputs. Behind [`Wire`] is the SDK's client or, in the simulation, a table in memory.
//! So the simulation runs the whole protocol, without HTTP.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
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

macro_rules! wire {
    ($($call:ident($input:ident) -> $output:ident, $error:ident;)*) => {
        /// The calls of the store. An implementation may repeat a call unchanged, with the same token and within its
        /// deadline.
        #[async_trait]
        pub trait Wire: Send + Sync + std::fmt::Debug {
            $(
                #[doc = concat!("The call of this name; see [`aws_sdk_dynamodb::Client::", stringify!($call), "`].")]
                async fn $call(&self, input: $input) -> Result<$output, SdkError<$error>>;
            )*
        }

        #[async_trait]
        impl Wire for Client {
            $(
                async fn $call(&self, input: $input) -> Result<$output, SdkError<$error>> {
                    input.send_with(self).await
                }
            )*
        }
    };
}

wire! {
    get_item(GetItemInputBuilder) -> GetItemOutput, GetItemError;
    batch_get_item(BatchGetItemInputBuilder) -> BatchGetItemOutput, BatchGetItemError;
    query(QueryInputBuilder) -> QueryOutput, QueryError;
    scan(ScanInputBuilder) -> ScanOutput, ScanError;
    put_item(PutItemInputBuilder) -> PutItemOutput, PutItemError;
    update_item(UpdateItemInputBuilder) -> UpdateItemOutput, UpdateItemError;
    transact_get_items(TransactGetItemsInputBuilder) -> TransactGetItemsOutput, TransactGetItemsError;
    transact_write_items(TransactWriteItemsInputBuilder) -> TransactWriteItemsOutput, TransactWriteItemsError;
    describe_table(DescribeTableInputBuilder) -> DescribeTableOutput, DescribeTableError;
}
