//! The table with its keys and indexes. `row.rs` lists the attributes of each row.
//!
//! | pk | sk | row |
//! |---|---|---|
//! | `ITEM#{item}` | `ITEM` | catalogue record, version, threshold version |
//! | `ITEM#{item}` | `LEVEL#{location}` | the level, its version, its tail |
//! | `LEDGER#{item}#{location}` | first seq, 20 digits | an immutable chunk of ledger entries |
//! | `CMD#{item}#{command id}` | `CMD` | the outcome |
//! | `CMD#{item}#{command id}` | `AT#{location}` | the mark that a level was re-judged for this command |
//! | `BARCODE#{code}`, `ITEMKEY#{lower-cased item id}` | same | the item that holds the claim |
//! | `LOCATION` | `{location}` | location settings |
//! | `LOCATIONKEY` | lower-cased location | which location: ids differ by more than case |
//! | `CLIENT#{client}` | `CLIENT` | a registered client: what it may do, and where |
//! | `ISSUERKEYS` | address | the issuer's keys, for a start without a way to the issuer |
//! | `ALERT#{yyyy-mm}` | `{raised_at, 13 digits}#{alert id}` | alert history and claims |
//! | `ALERT` | `{yyyy-mm}` | the mark that this month has alerts |
//! | `NOTICE#{location}` | `{yyyy-mm-dd}` | the daily notice of refused commands: its claim and the end of its period |
//!
//! The keys of the indexes don't change with the balance, so a movement pays nothing for them. All but [`CHUNKS`] hold keys
//! only; that one is paid for with each chunk.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};

/// A global secondary index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// The name in the table.
    pub name: &'static str,
    /// The attribute of the partition key.
    pub partition: &'static str,
    /// The attribute of the sort key.
    pub sort: &'static str,
    /// The attributes that it holds beside the keys.
    pub holds: &'static [&'static str],
}

impl Index {
    /// Returns an index that holds keys only.
    pub const fn of_keys(name: &'static str, partition: &'static str, sort: &'static str) -> Self {
        Self { name, partition, sort, holds: &[] }
    }
}

/// The table's partition key.
pub const PK: &str = "pk";
/// The table's sort key.
pub const SK: &str = "sk";

/// Items by lower-cased name, then id, in [`SHARDS`] shards. On ITEM rows: `item_shard`, `name_key`.
pub const BY_NAME: Index = Index::of_keys("by_name", "item_shard", "name_key");
/// Items by id, in [`SHARDS`] shards. On ITEM rows: `item_shard`.
pub const BY_ID: Index = Index::of_keys("by_id", "item_shard", PK);
/// Levels of a location by item. On LEVEL rows: `location`.
pub const BY_LOCATION: Index = Index::of_keys("by_location", "location", PK);
/// The low, out and oversold levels of a location by item; sparse. On LEVEL rows: `unwell`, the location. The stored
/// name stays `unwell`, because a live table would have to build a renamed index again.
pub const LOW_LEVELS: Index = Index::of_keys("unwell", "unwell", PK);
/// Refused commands by time, in [`SHARDS`] shards per status, and applied changes of the catalogue; sparse. On CMD rows:
/// `refused` (`{status}#{shard}`), `refused_at` (`{settled_at, 13 digits}#{item}#{command id}`). One more partition lists
/// the registered clients by id. On CLIENT rows: `refused`, always `clients`, and `refused_at`, the client.
pub const REFUSED: Index = Index::of_keys("refused", "refused", "refused_at");

/// Applied changes of an item's catalogue record and thresholds by time; sparse. On CMD rows: `changed`, the item.
pub const CHANGES: Index = Index::of_keys("changes", "changed", "refused_at");

/// Chunks of ledgers by location and month, with their entries: what reports are made of. On LEDGER rows: `chunk_month`,
/// `{location}#{yyyy-mm}`, the month in which the chunk's last entry was recorded. A partition takes 1,000 chunks a second,
/// about 8,000 movements of one location.
pub const CHUNKS: Index = Index { name: "chunks", partition: "chunk_month", sort: PK, holds: &["entries"] };

/// All indexes of the table.
pub const INDEXES: [Index; 7] = [BY_NAME, BY_ID, BY_LOCATION, LOW_LEVELS, REFUSED, CHANGES, CHUNKS];

/// The number of partitions of an index without a natural partition key. Each accepts 1,000 writes a second. Stored
/// keys depend on it, so it must never change.
pub const SHARDS: u8 = 8;

/// Returns the request that creates the table, as `deploy/template.yaml` does.
pub fn creation(client: &Client, name: &str) -> CreateTableFluentBuilder {
    client
        .create_table()
        .table_name(name)
        .set_attribute_definitions(Some(attribute_definitions()))
        .set_key_schema(Some(key_schema(PK, SK)))
        .set_global_secondary_indexes(Some(indexes()))
        .billing_mode(BillingMode::PayPerRequest)
}

/// Returns the key attributes, all of them strings.
pub fn attribute_definitions() -> Vec<AttributeDefinition> {
    let mut names = vec![PK, SK];
    for index in INDEXES {
        names.extend([index.partition, index.sort]);
    }
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().ok()
        })
        .collect()
}

/// Returns the key of the table or of an index.
pub fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .into_iter()
        .filter_map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().ok())
        .collect()
}

/// Returns what an index holds.
pub fn projection(index: Index) -> Projection {
    let projection = Projection::builder();
    match index.holds {
        [] => projection.projection_type(ProjectionType::KeysOnly),
        holds => holds.iter().fold(projection.projection_type(ProjectionType::Include), |projection, attribute| {
            projection.non_key_attributes(*attribute)
        }),
    }
    .build()
}

/// Returns the indexes for `CreateTable`.
pub fn indexes() -> Vec<GlobalSecondaryIndex> {
    INDEXES
        .into_iter()
        .filter_map(|index| {
            GlobalSecondaryIndex::builder()
                .index_name(index.name)
                .set_key_schema(Some(key_schema(index.partition, index.sort)))
                .projection(projection(index))
                .build()
                .ok()
        })
        .collect()
}
