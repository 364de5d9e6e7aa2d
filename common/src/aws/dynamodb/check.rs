//! Is the table there, and is it the one that this program was written for?

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    IndexStatus, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
};

use super::DynamoStore;
use super::fault::describe;
use super::table::{INDEXES, Index, PK, SK};
use crate::aws::StartError;

const TEMPLATE: &str = "create it as deploy/template.yaml does";

impl DynamoStore {
    /// Compares the table with [`super::table`].
    ///
    /// # Errors
    /// Credentials, a missing table or index, other keys, a table that is still being made, or no answer.
    pub async fn check(&self) -> Result<(), StartError> {
        let answer = self.client.describe_table().table_name(&self.table).send().await;
        let answer = answer.map_err(|error| self.not_described(&error))?;
        let table = answer.table.ok_or_else(|| {
            StartError::Unreachable(format!("DynamoDB did not describe the table {}; try again", self.table))
        })?;
        compare(&self.table, &table)
    }

    fn not_described<E>(&self, error: &SdkError<E>) -> StartError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (table, why) = (&self.table, describe(error));
        let code = match error {
            SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
            _ => "",
        };
        match code {
            "ResourceNotFoundException" => StartError::Missing(format!(
                "there is no table {table} in this account and region: {TEMPLATE}, or name another"
            )),
            "AccessDeniedException" => {
                StartError::Credentials(format!("allow dynamodb:DescribeTable on the table {table} ({why})"))
            }
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException" => {
                StartError::Credentials(format!("renew the AWS credentials of this program ({why})"))
            }
            _ if no_credentials(error) => StartError::Credentials(format!(
                "give this program AWS credentials: a task role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({why})"
            )),
            _ => StartError::Unreachable(format!(
                "DynamoDB could not be asked for the table {table}: check the network, the region and AWS_ENDPOINT_URL ({why})"
            )),
        }
    }
}

/// Did the SDK find none to sign with? It says so only in its text.
fn no_credentials<E>(error: &SdkError<E>) -> bool
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    matches!(error, SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_))
        && describe(error).to_ascii_lowercase().contains("credential")
}

fn compare(name: &str, table: &TableDescription) -> Result<(), StartError> {
    match table.table_status() {
        // An update goes on beside reads and writes.
        None | Some(TableStatus::Active | TableStatus::Updating) => {}
        Some(status @ TableStatus::Creating) => {
            return Err(StartError::Unreachable(format!("the table {name} is {status}: wait until it is ACTIVE")));
        }
        Some(status) => {
            return Err(StartError::Unreachable(format!("the table {name} is {status}: bring it back to ACTIVE")));
        }
    }
    let keys = keyed_by(table.key_schema());
    if keys != (Some(PK), Some(SK)) {
        return Err(StartError::WrongKind(format!(
            "the table {name} has the keys {}, not {PK} and {SK}: {TEMPLATE}, or name another",
            shown(keys)
        )));
    }
    let not_text = table
        .attribute_definitions()
        .iter()
        .find(|attribute| attribute.attribute_type() != &ScalarAttributeType::S)
        .map(|attribute| attribute.attribute_name());
    if let Some(attribute) = not_text {
        return Err(StartError::WrongKind(format!(
            "the key attribute {attribute} of the table {name} is no string (S): {TEMPLATE}"
        )));
    }
    INDEXES.iter().try_for_each(|index| compare_index(name, table, index))
}

fn compare_index(name: &str, table: &TableDescription, index: &Index) -> Result<(), StartError> {
    let Index { name: index_name, partition, sort } = index;
    let found = table.global_secondary_indexes().iter().find(|found| found.index_name() == Some(index_name));
    let Some(found) = found else {
        return Err(StartError::Missing(format!(
            "the table {name} has no index {index_name} ({partition}, {sort}): add it as deploy/template.yaml has it"
        )));
    };
    let keys = keyed_by(found.key_schema());
    if keys != (Some(partition), Some(sort)) {
        return Err(StartError::WrongKind(format!(
            "the index {index_name} of the table {name} has the keys {}, not {partition} and {sort}: make it anew",
            shown(keys)
        )));
    }
    match found.index_status() {
        None | Some(IndexStatus::Active | IndexStatus::Updating) => Ok(()),
        Some(status) => Err(StartError::Unreachable(format!(
            "the index {index_name} of the table {name} is {status}: wait until it is ACTIVE"
        ))),
    }
}

fn keyed_by(schema: &[KeySchemaElement]) -> (Option<&str>, Option<&str>) {
    let of = |kind: &KeyType| schema.iter().find(|key| key.key_type() == kind).map(|key| key.attribute_name());
    (of(&KeyType::Hash), of(&KeyType::Range))
}

fn shown((partition, sort): (Option<&str>, Option<&str>)) -> String {
    format!("{} and {}", partition.unwrap_or("none"), sort.unwrap_or("none"))
}
