//! Answers that no engine gives by itself, put in the way of the SDK's requests.

use std::collections::VecDeque;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{CancellationReason, TableStatus};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::super::cancel::{ActionKind, classify};
use super::*;
use crate::StartError;
use stockline_core::domain::{Claim, RejudgeMark};

/// Gives these answers, one a request; then the service can't be reached.
#[derive(Debug, Clone, Default)]
struct Canned {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Canned {
    fn store(answers: impl IntoIterator<Item = (u16, Value)>) -> (DynamoStore, Self) {
        let canned = Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() };
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .http_client(canned.clone())
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let clock = Arc::new(FixedClock::at(at(0)));
        (DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), clock), canned)
    }

    fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|bytes| serde_json::from_slice(bytes).unwrap());
        self.requests.lock().unwrap().push(body.unwrap_or_default());
        HttpConnectorFuture::ready(match self.answers.lock().unwrap().pop_front() {
            Some((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))),
            None => Err(ConnectorError::io("the line is dead".into())),
        })
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn fails(code: &str) -> (u16, Value) {
    (400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "why" }))
}

fn rejection() -> Commit {
    let letter = DeadLetter { reason: "r".into(), body: "{".into(), discarded_at: None };
    let record = Record::dead_letter(None, letter, (item_id("cola"), id(1)), at(0));
    Commit { records: vec![record], ..Commit::new(item_id("cola")) }
}

#[tokio::test]
async fn a_commit_that_the_service_refuses_is_refused_and_all_else_may_pass() {
    for code in ["ValidationException", "SerializationException"] {
        let (store, _) = Canned::store([fails(code)]);
        let outcome = store.commit(vec![rejection()]).await.remove(0).unwrap();
        assert!(matches!(&outcome, CommitOutcome::Refused(why) if why.contains("why")), "{code}: {outcome:?}");
    }
    for code in [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "InternalServerError",
        "IdempotentParameterMismatchException",
        "TransactionInProgressException",
        "ResourceNotFoundException",
        "AccessDeniedException",
        "ExpiredTokenException",
        "SomethingNew",
    ] {
        let (store, _) = Canned::store([fails(code)]);
        let error = store.commit(vec![rejection()]).await.remove(0).unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains(code)), "{error}");
    }
    let (store, _) = Canned::store([]);
    let error = store.commit(vec![rejection()]).await.remove(0).unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("the line is dead")), "{error}");
}

#[tokio::test]
async fn a_transaction_with_a_conflict_may_pass_and_no_answer_is_taken_for_an_outcome() {
    let cancelled = |reasons: Value| {
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        (400, json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }))
    };
    let (store, _) = Canned::store([
        cancelled(json!([{ "Code": "TransactionConflict", "Message": "busy" }])),
        cancelled(json!([{ "Code": "ValidationError", "Message": "Item size has exceeded" }])),
    ]);
    let error = store.commit(vec![rejection()]).await.remove(0).unwrap_err();
    assert!(matches!(&error, StoreError::Busy(why) if why.contains("TransactionConflict: busy")), "{error}");
    let refused = store.commit(vec![rejection()]).await.remove(0).unwrap();
    assert_eq!(refused, CommitOutcome::Refused("ValidationError: Item size has exceeded".into()));
}

/// The sort keys that a `BatchGetItem` asks for.
fn asked(request: &Value) -> Vec<&str> {
    let keys = request["RequestItems"][TABLE]["Keys"].as_array().unwrap();
    assert_eq!(request["RequestItems"][TABLE]["ConsistentRead"], true);
    let mut keys: Vec<_> = keys.iter().map(|key| key["sk"]["S"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys
}

fn sale_request() -> LoadRequest {
    let mut request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    request.locations = [place("main"), place("north")].into();
    request.claims = [Claim::Barcode("1".into())].into();
    request
}

#[tokio::test]
async fn the_levels_are_read_before_the_item_and_all_of_it_consistently() {
    let empty = || (200, json!({ "Responses": {} }));
    let (store, canned) = Canned::store([empty(), empty()]);
    store.load(&[sale_request()]).await.remove(0).unwrap();
    let requests = canned.requests();
    assert_eq!(
        requests.iter().map(asked).collect::<Vec<_>>(),
        [vec!["LEVEL#main", "LEVEL#north"], vec!["BARCODE#1", "ITEM", "main", "north"]]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_left_unprocessed_is_asked_for_again_until_it_comes() {
    let left = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|sk| json!({ "pk": { "S": "ITEM#cola" }, "sk": { "S": sk } })).collect();
        let left = json!({ TABLE: { "Keys": keys, "ConsistentRead": true } });
        (200, json!({ "Responses": { TABLE: [] }, "UnprocessedKeys": left }))
    };
    let done = || (200, json!({ "Responses": {}, "UnprocessedKeys": {} }));
    let (store, canned) = Canned::store([left(&["LEVEL#main"]), left(&["LEVEL#main"]), done(), done()]);
    store.load(&[sale_request()]).await.remove(0).unwrap();
    let requests = canned.requests();
    let levels: Vec<_> = requests[..3].iter().map(asked).collect();
    assert_eq!(levels, [vec!["LEVEL#main", "LEVEL#north"], vec!["LEVEL#main"], vec!["LEVEL#main"]]);

    let both = || left(&["LEVEL#main", "LEVEL#north"]);
    let (store, canned) = Canned::store((0..99).map(|_| both()));
    let mut request = sale_request();
    request.claims.clear();
    let error = store.get_many(request.locations.iter().map(|l| Key::level(&request.item_id, l)), true).await;
    let error = error.row(&Key::level(&request.item_id, &place("main"))).unwrap_err();
    assert!(matches!(&error, StoreError::Busy(why) if why.contains("unprocessed")), "{error}");
    assert_eq!(canned.requests().len(), 6, "and not for ever");
}

/// Else a level that is sold too fast for its partition would be taken for an outage of the table.
#[tokio::test(start_paused = true)]
async fn a_key_that_stays_unprocessed_fails_alone() {
    let left = json!({ TABLE: { "Keys": [{ "pk": { "S": "ITEM#cola" }, "sk": { "S": "LEVEL#main" } }] } });
    let answer = || (200, json!({ "Responses": { TABLE: [] }, "UnprocessedKeys": left }));
    let (store, _) = Canned::store((0..99).map(|_| answer()));
    let request = sale_request();
    let found = store.get_many(request.locations.iter().map(|l| Key::level(&request.item_id, l)), true).await;
    let row = |location| found.row(&Key::level(&request.item_id, &place(location)));
    assert!(matches!(row("main"), Err(StoreError::Busy(_))));
    assert!(matches!(row("north"), Ok(None)));
}

/// After so many answers a key counts as unprocessed: the first answer has the other keys.
const UNPROCESSED_ANSWERS: usize = 7;

/// A wave of one item whose key stays unprocessed is no outage of the store.
#[tokio::test]
async fn items_whose_keys_stay_unprocessed_are_busy_unless_all_of_several_are() {
    let key = |item: &str| json!({ "pk": { "S": format!("ITEM#{item}") }, "sk": { "S": "LEVEL#main" } });
    let left = |items: &[&str]| {
        let keys: Vec<_> = items.iter().map(|item| key(item)).collect();
        (200, json!({ "Responses": { TABLE: [] }, "UnprocessedKeys": { TABLE: { "Keys": keys } } }))
    };
    let whole = || (200, json!({ "Responses": { TABLE: [] } }));
    let request = |item: &str| LoadRequest { item_id: item_id(item), ..sale_request() };
    let load = async |items: &[&str], busy: &[&str]| {
        let answers = (0..UNPROCESSED_ANSWERS).map(|_| left(busy)).chain(std::iter::repeat_with(whole).take(9));
        let (store, _) = Canned::store(answers);
        let requests: Vec<_> = items.iter().map(|item| request(item)).collect();
        store.load(&requests).await
    };
    assert!(matches!(load(&["cola"], &["cola"]).await[..], [Err(StoreError::Busy(_))]));
    assert!(matches!(load(&["cola", "tea"], &["cola"]).await[..], [Err(StoreError::Busy(_)), Ok(_)]));
    let both = load(&["cola", "tea"], &["cola", "tea"]).await;
    assert!(matches!(both[..], [Err(StoreError::Unavailable(_)), Err(StoreError::Unavailable(_))]), "{both:?}");
}

#[tokio::test]
async fn a_read_that_fails_is_an_error_and_never_an_absent_row() {
    let (store, _) = Canned::store([fails("ThrottlingException"), (200, json!({ "Responses": {} }))]);
    assert!(matches!(store.load(&[sale_request()]).await.remove(0), Err(StoreError::Unavailable(_))));
    let (store, _) = Canned::store([(200, json!({ "Responses": {} })), fails("ThrottlingException")]);
    assert!(matches!(store.load(&[sale_request()]).await.remove(0), Err(StoreError::Unavailable(_))));
    let (store, _) = Canned::store([]);
    assert!(store.location(&place("main")).await.is_err());
}

/// The reason that one action of a transaction failed.
#[derive(Clone, Copy)]
enum Why {
    Nothing,
    Failed,
    FailedWith(u128),
    Is(&'static str),
}

#[test]
fn each_reason_is_read_by_the_kind_of_its_action() {
    use Why::{Failed, FailedWith, Is, Nothing};
    let letter = |n| Record { retry: 3, ..with_id(rejection().records.remove(0), n) };
    let mark = RejudgeMark { command_id: id(1), location_id: place("main"), alert: None };
    let marked = row::of_mark(&item_id("cola"), &mark).unwrap();
    // Two outcomes (the second of a later retry than what may be stored), a mark, a level.
    let kinds =
        [ActionKind::Record { retry: 0 }, ActionKind::Record { retry: 5 }, ActionKind::Mark, ActionKind::AsLoaded];
    let read = |whys: [Why; 4]| {
        let reasons: Vec<_> = whys
            .iter()
            .enumerate()
            .map(|(index, why)| {
                let reason = CancellationReason::builder();
                let failed = || CancellationReason::builder().code("ConditionalCheckFailed");
                match why {
                    Nothing if index == 0 => reason.build(),
                    Nothing => reason.code("None").build(),
                    Failed => failed().build(),
                    FailedWith(_) if index == 2 => failed().set_item(Some(marked.clone())).build(),
                    FailedWith(n) => failed().set_item(Some(row::of_record(&letter(*n)).unwrap())).build(),
                    Is(code) => reason.code(*code).message("why").build(),
                }
            })
            .collect();
        classify(&kinds, &reasons)
    };
    let decided = |n| Ok::<_, String>(CommitOutcome::Decided(vec![letter(n)]));
    let judged = || Ok(CommitOutcome::Judged(Box::new(mark.clone())));
    let conflict = || Ok(CommitOutcome::Conflict);
    let refused = |code: &str| Ok(CommitOutcome::Refused(format!("{code}: why")));
    let passing = |what: &str| Err(what.to_owned());
    let table = [
        ([FailedWith(1), Nothing, Nothing, Nothing], decided(1)),
        ([FailedWith(1), Is("TransactionConflict"), FailedWith(0), Failed], decided(1)),
        ([FailedWith(1), Is("ValidationError"), Nothing, Is("ThrottlingError")], decided(1)),
        ([Nothing, FailedWith(2), Nothing, Nothing], conflict()),
        ([FailedWith(1), FailedWith(2), Nothing, Nothing], decided(1)),
        ([Nothing, Nothing, FailedWith(0), Failed], judged()),
        ([Is("TransactionConflict"), Nothing, FailedWith(0), Nothing], judged()),
        ([Nothing, Nothing, Nothing, Failed], conflict()),
        ([Is("ThrottlingError"), Nothing, Nothing, Failed], conflict()),
        ([Is("ValidationError"), Nothing, Nothing, Failed], conflict()),
        ([Nothing, Nothing, Nothing, Is("TransactionConflict")], passing("TransactionConflict: why")),
        ([Nothing, Nothing, Is("ThrottlingError"), Nothing], passing("ThrottlingError: why")),
        ([Is("ProvisionedThroughputExceeded"), Nothing, Nothing, Nothing], passing("ProvisionedThroughputExceeded")),
        ([Is("SomethingNew"), Nothing, Nothing, Nothing], passing("SomethingNew")),
        ([Is("ValidationError"), Nothing, Nothing, Is("ThrottlingError")], passing("ThrottlingError: why")),
        ([Is("ValidationError"), Nothing, Nothing, Nothing], refused("ValidationError")),
        (
            [Nothing, Nothing, Nothing, Is("ItemCollectionSizeLimitExceeded")],
            refused("ItemCollectionSizeLimitExceeded"),
        ),
        ([Failed, Nothing, Nothing, Nothing], passing("did not send the row")),
        ([Nothing, Nothing, Failed, Nothing], passing("did not send the row")),
        ([Nothing, Nothing, Nothing, Nothing], passing("without a reason")),
    ];
    for (line, (whys, expected)) in table.into_iter().enumerate() {
        match (read(whys), expected) {
            (Ok(outcome), Ok(expected)) => assert_eq!(outcome, expected, "line {line}"),
            (Err(StoreError::Busy(why)), Err(part)) => assert!(why.contains(&part), "line {line}: {why}"),
            (outcome, expected) => panic!("line {line}: {outcome:?}, not {expected:?}"),
        }
    }
    let unreadable = CancellationReason::builder().code("ConditionalCheckFailed").set_item(Some(marked.clone()));
    assert!(matches!(classify(&kinds, &[unreadable.build()]), Err(StoreError::Unreadable(_))));
}

fn with_id(mut record: Record, n: u128) -> Record {
    record.outcome.command_id = id(n);
    record
}

#[tokio::test]
async fn a_start_without_its_table_says_what_to_do() {
    let failed = async |answer: (u16, Value)| Canned::store([answer]).0.check().await.unwrap_err();
    let error = failed(fails("ResourceNotFoundException")).await;
    assert!(
        matches!(&error, StartError::Missing(text) if text.contains("the table stockline does not exist")),
        "{error}"
    );
    let error = failed(fails("AccessDeniedException")).await;
    assert!(matches!(&error, StartError::Credentials(text) if text.contains("dynamodb:DescribeTable")), "{error}");
    let error = failed(fails("ExpiredTokenException")).await;
    assert!(matches!(&error, StartError::Credentials(text) if text.contains("renew")), "{error}");
    let error = failed(fails("InternalServerError")).await;
    assert!(matches!(&error, StartError::Unreachable(_)), "{error}");
    let error = Canned::store([]).0.check().await.unwrap_err();
    assert!(matches!(&error, StartError::Unreachable(text) if text.contains("the line is dead")), "{error}");
    let error = failed((200, json!({}))).await;
    assert!(matches!(&error, StartError::Unreachable(_)), "{error}");
}

/// The table as `DescribeTable` shows it.
fn described() -> Value {
    let keys = |partition: &str, sort: &str| {
        json!([
            { "AttributeName": partition, "KeyType": "HASH" },
            { "AttributeName": sort, "KeyType": "RANGE" }
        ])
    };
    let index = |index: table::Index| json!({ "IndexName": index.name, "IndexStatus": "ACTIVE", "KeySchema": keys(index.partition, index.sort) });
    json!({ "Table": {
        "TableName": TABLE,
        "TableStatus": "ACTIVE",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": table::INDEXES.map(index),
    } })
}

#[tokio::test]
async fn a_table_of_another_shape_is_told_apart_from_ours() {
    let check = async |change: fn(&mut Value)| {
        let mut answer = described();
        change(&mut answer["Table"]);
        Canned::store([(200, answer)]).0.check().await
    };
    assert_eq!(check(|_| ()).await, Ok(()));
    assert_eq!(check(|table| table["TableStatus"] = json!("UPDATING")).await, Ok(()), "an update goes on beside it");
    type Case = (fn(&mut Value), fn(StartError) -> String, &'static str);
    let missing = |error| if let StartError::Missing(text) = error { text } else { panic!("{error:?}") };
    let wrong = |error| if let StartError::WrongKind(text) = error { text } else { panic!("{error:?}") };
    let wait = |error| if let StartError::Unreachable(text) = error { text } else { panic!("{error:?}") };
    let cases: [Case; 7] = [
        (|table| table["TableStatus"] = json!("CREATING"), wait, "wait until it is ACTIVE"),
        (|table| table["TableStatus"] = json!(TableStatus::Archived.as_str()), wait, "ARCHIVED"),
        (|table| table["KeySchema"][0]["AttributeName"] = json!("id"), wrong, "the keys id and sk"),
        (|table| drop(table["KeySchema"].as_array_mut().unwrap().pop()), wrong, "the keys pk and none"),
        (|table| table["AttributeDefinitions"][0]["AttributeType"] = json!("N"), wrong, "pk"),
        (|table| drop(table["GlobalSecondaryIndexes"].as_array_mut().unwrap().pop()), missing, "index chunks"),
        (|table| table["GlobalSecondaryIndexes"][1]["IndexStatus"] = json!("CREATING"), wait, "by_id"),
    ];
    for (change, kind, part) in cases {
        let text = kind(check(change).await.unwrap_err());
        assert!(text.contains(part), "{text}");
    }
    let text = wrong(
        check(|table| table["GlobalSecondaryIndexes"][0]["KeySchema"][1]["AttributeName"] = json!("x"))
            .await
            .unwrap_err(),
    );
    assert!(text.contains("by_name") && text.contains("item_shard and x"), "{text}");
}

#[tokio::test]
async fn the_table_that_the_layout_describes_passes_its_own_check() {
    let shop = Shop::new().await;
    assert_eq!(shop.store.check().await, Ok(()));
    let bare = Engine::start().await;
    let clock = Arc::new(FixedClock::at(at(0)));
    let store = DynamoStore::new(bare.client.clone(), TABLE.into(), DynamoOptions::default(), clock);
    assert!(matches!(store.check().await, Err(StartError::Missing(_))));
}
