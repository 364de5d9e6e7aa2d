//! Tests the store on DynamoDB under answers that no engine gives: lost answers, throttling, cancellations with mixed
//! reasons, and unprocessed keys.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use stockline_aws::DynamoOptions;
use stockline_core::domain::{
    Alert, AlertKind, CommandKey, Commit, DeadLetter, Dismissal, LoadRequest, Quantity, Record, Slot, Status,
};
use stockline_core::ports::{
    Claimed, CommandFilter, CommitOutcome, FixedClock, ItemFilter, Lease, LedgerFrom, LevelFilter, MailTally,
    MovementFilter, PageRequest, PartSent, RefusedNotice, Rest, StoreError,
};
use stockline_tests::contract::store::{Bounds, Home, Ports, Shop, at, id, item_id, place};
use stockline_tests::dynoxide::Dynoxide;
use stockline_tests::inject::{ATTEMPTS, Fault, Hold, Script, canceled, error};

const WRITE: &str = "TransactWriteItems";
const READ: &str = "BatchGetItem";

#[derive(Debug)]
struct Engine(Dynoxide, Script);

#[async_trait]
impl Home for Engine {
    async fn open(&self, bounds: Bounds) -> Ports {
        let Bounds { late_count_entries_max, page_levels_max, page_rows_max } = bounds;
        let options =
            DynamoOptions { late_count_entries_max, page_levels_max, page_rows_max, ..DynamoOptions::default() };
        Ports::of(self.0.store(&self.1, options, Arc::new(FixedClock::at(at(0)))))
    }
}

/// Returns a shop with 10 of `cola` at `main`.
async fn cola() -> (Shop, Script) {
    let script = Script::new();
    let shop = Shop::new(Box::new(Engine(Dynoxide::start().await, script.clone()))).await;
    shop.register("cola", "").await;
    shop.receive("cola", "main", 10, at(1)).await;
    (shop, script)
}

async fn sale(shop: &Shop) -> (Slot, Commit) {
    let slot = shop.sale("cola", 1, at(2));
    let commit = shop.fold("cola", std::slice::from_ref(&slot), at(2)).await.commit;
    (slot, commit)
}

fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

/// Reports whether only this item failed, which is no outage.
fn is_busy<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Busy(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_repeated_under_its_token_and_takes_stock_once() {
    let (shop, script) = cola().await;
    let (_, commit) = sale(&shop).await;
    let before = script.count(WRITE);
    script.next(WRITE, [Fault::DropAfter]);
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    let tokens: Vec<_> = script.bodies(WRITE)[before..].iter().map(|body| body["ClientRequestToken"].clone()).collect();
    assert!(tokens.len() == 2 && tokens[0] == tokens[1] && tokens[0].is_string(), "{tokens:?}");
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
    shop.audit().await;
}

fn lease(holder: &str, from: i64, until: i64) -> Lease {
    Lease { holder: holder.into(), from: at(from), until: at(until) }
}

/// The SDK repeats the call, and the second call meets the write of the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_and_a_discard_whose_answers_were_lost_are_known_as_ones_own() {
    let (shop, script) = cola().await;
    let alerts = &shop.ports().alerts;
    let raised = alert();
    script.next("PutItem", [Fault::None, Fault::DropAfter]);
    let claimed = alerts.claim(std::slice::from_ref(&raised), &lease("a", 0, 100)).await.remove(0).unwrap();
    assert_eq!(claimed, Claimed::Ours);
    assert!(script.is_played());
    let again = alerts.claim(std::slice::from_ref(&raised), &lease("b", 1, 100)).await.remove(0).unwrap();
    assert_eq!(again, Claimed::Held, "another claim is not that one");

    let dead_id = shop.fresh_id();
    let letter = DeadLetter { reason: "why".into(), body: "{}".into(), discarded_at: None };
    let record = Record::dead_letter(None, letter, (item_id("cola"), dead_id), at(5));
    shop.settle("cola", vec![Slot::Dead(Box::new(record))], at(5)).await;
    let state = CommandKey { item_id: item_id("cola"), command_id: dead_id };
    script.next("UpdateItem", [Fault::DropAfter]);
    assert!(shop.ports().store.discard(&state, at(9)).await.unwrap());
    assert!(script.is_played());
    assert!(!shop.ports().store.discard(&state, at(10)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_succeeded_unheard_is_met_as_decided() {
    let (shop, script) = cola().await;
    let (slot, commit) = sale(&shop).await;
    let records = commit.records.clone();
    script.lose_next_answer(WRITE);
    assert!(is_unavailable(shop.try_commit(commit).await));
    assert!(script.is_played());
    let afresh = shop.fold("cola", &[slot], at(3)).await.commit;
    assert_eq!(shop.commit(afresh).await, CommitOutcome::Decided(records));
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
    shop.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_unheard_is_made_afresh() {
    let (shop, script) = cola().await;
    let (slot, commit) = sale(&shop).await;
    let before = script.count(WRITE);
    script.next_call(WRITE, &Fault::DropBefore);
    assert!(is_unavailable(shop.try_commit(commit).await));
    assert_eq!(script.count(WRITE) - before, ATTEMPTS, "one layer repeats, and so often");
    shop.settle("cola", vec![slot], at(3)).await;
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
    shop.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_reasons_are_told_apart_in_any_mixture() {
    let (shop, script) = cola().await;
    let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    let (_, commit) = sale(&shop).await;
    let commit_under = async |fault: Fault| {
        script.always(WRITE, fault);
        let answer = shop.try_commit(commit.clone()).await;
        script.clear();
        answer
    };
    for code in passing {
        for reasons in [[code, "None"], ["None", code], [code, "ValidationError"], ["ValidationError", code]] {
            let answer = commit_under(canceled(&reasons)).await;
            assert!(is_busy(answer.clone()), "{reasons:?}: {answer:?}");
        }
    }
    for code in ["ValidationError", "ItemCollectionSizeLimitExceeded"] {
        for reasons in [[code, "None"], ["None", code]] {
            let answer = commit_under(canceled(&reasons)).await;
            assert!(matches!(answer, Ok(CommitOutcome::Refused(_))), "{reasons:?}: {answer:?}");
        }
    }
    for strange in [canceled(&[]), canceled(&["None", "None"]), canceled(&["SomethingNew", "None"])] {
        assert!(is_busy(commit_under(strange).await), "an answer of a later API may pass");
    }
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed, "none of them wrote anything");
    shop.audit().await;
}

/// Replaces the reasons of a real cancellation that prove nothing.
fn beside_the_proof(mut answer: Value, code: &str) -> Value {
    for reason in answer["CancellationReasons"].as_array_mut().unwrap() {
        if reason["Item"].is_null() {
            *reason = json!({ "Code": code, "Message": code });
        }
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_decided_whatever_the_other_actions_say() {
    let (shop, script) = cola().await;
    let (slot, commit) = sale(&shop).await;
    let records = shop.settle("cola", vec![slot], at(2)).await;
    let rewrites: [fn(Value) -> Value; 5] = [
        |answer| beside_the_proof(answer, "TransactionConflict"),
        |answer| beside_the_proof(answer, "ThrottlingError"),
        |answer| beside_the_proof(answer, "ProvisionedThroughputExceeded"),
        |answer| beside_the_proof(answer, "ValidationError"),
        |answer| beside_the_proof(answer, "ConditionalCheckFailed"),
    ];
    for rewrite in rewrites {
        script.next(WRITE, [Fault::Rewrite(rewrite)]);
        assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Decided(records.clone()));
        assert!(script.is_played());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_level_beside_what_may_pass_is_a_conflict_or_may_pass_and_never_more() {
    let (shop, script) = cola().await;
    let (_, stale) = sale(&shop).await;
    shop.receive("cola", "main", 1, at(2)).await;
    for code in ["TransactionConflict", "ThrottlingError", "ValidationError"] {
        script.always(WRITE, canceled(&["ConditionalCheckFailed", code]));
        let first = shop.try_commit(stale.clone()).await;
        script.always(WRITE, canceled(&[code, "ConditionalCheckFailed"]));
        let last = shop.try_commit(stale.clone()).await;
        script.clear();
        for answer in [first, last] {
            assert!(matches!(answer, Ok(CommitOutcome::Conflict) | Err(StoreError::Busy(_))), "{answer:?}");
        }
    }
    assert_eq!(shop.commit(stale).await, CommitOutcome::Conflict);
}

fn alert() -> Alert {
    Alert {
        item_id: item_id("cola"),
        location_id: place("main"),
        alert_no: 1,
        kind: AlertKind::Low,
        on_hand: Quantity::from_raw(1),
        low_stock_threshold: None,
        seq: 1,
        opening: false,
        raised_at: at(0),
        command_id: id(1),
        item_name: "Cola".into(),
        unit: "piece".into(),
        trace: None,
    }
}

/// Calls every method of the ports, and returns its name and its error, or `None` if it answered.
async fn errors(shop: &Shop, commit: &Commit) -> Vec<(&'static str, Option<StoreError>)> {
    let Ports { store, queries, audit, alerts } = shop.ports();
    let cola = item_id("cola");
    let state = CommandKey { item_id: cola.clone(), command_id: id(2) };
    let notice = RefusedNotice { location_id: place("main"), day: "2026-01-31".into() };
    let refused = CommandFilter {
        status: Status::Rejected,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    let mut named = LoadRequest { all_levels: false, ..LoadRequest::of(cola.clone()) };
    named.locations.insert(place("north"));
    let both = [named, LoadRequest::of(cola.clone())];
    let rest = Rest { missing: vec!["x".into()], tally: MailTally::default() };
    let (of_sale, dismissal) = (state.clone(), Dismissal { at: at(1), because: "r".into(), by: None });
    let mut loads = store.load(&both).await.into_iter();
    vec![
        ("load", loads.next().unwrap().err()),
        ("load of all levels", loads.next().unwrap().err()),
        ("commit", store.commit(vec![commit.clone()]).await.remove(0).err()),
        ("discard", store.discard(&state, at(1)).await.err()),
        ("record", queries.records(std::slice::from_ref(&state)).await.err()),
        ("records", queries.records(&[state.clone(), CommandKey { command_id: id(1), ..state }]).await.err()),
        ("item", queries.item(&cola).await.err()),
        ("items", queries.items(&ItemFilter::default(), PageRequest::first(10)).await.err()),
        ("movements", queries.movements(&cola, &MovementFilter::default(), PageRequest::first(10)).await.err()),
        ("stock_as_of", queries.stock_as_of(&cola, at(1)).await.err()),
        ("levels", queries.levels(&LevelFilter::default(), PageRequest::first(10)).await.err()),
        ("commands", queries.commands(&refused, PageRequest::first(10)).await.err()),
        ("alerts", queries.alerts(None, PageRequest::first(10)).await.err()),
        ("ping", queries.ping().await.err()),
        ("location", queries.location(&place("main")).await.err()),
        ("locations", queries.locations().await.err()),
        ("put_location", queries.put_location(&stockline_core::domain::LocationSettings::main()).await.err()),
        ("audit_items", audit.audit_items(PageRequest::first(10)).await.err()),
        ("audit_ledger", audit.audit_ledger(LedgerFrom::new(&cola, &place("main"), 1, 10)).await.err()),
        ("audit_records", audit.audit_records(PageRequest::first(10)).await.err()),
        ("claim", alerts.claim(&[alert()], &lease("a", 0, 1)).await.remove(0).err()),
        ("give_up", alerts.give_up(&[alert()], &lease("a", 0, 1)).await.err()),
        (
            "mark_part_sent",
            alerts
                .mark_part_sent(&[alert()], PartSent { lease: &lease("a", 0, 1), sent_at: at(0), rest: &rest })
                .await
                .err(),
        ),
        ("mark_sent", alerts.mark_sent(&[alert()], at(0), MailTally::default()).await.err()),
        ("mark_unaddressed", alerts.mark_unaddressed(&[alert()]).await.err()),
        ("dismiss", queries.dismiss(&of_sale, &dismissal).await.err()),
        ("claim_notice", alerts.claim_notice(&notice, &lease("a", 0, 1)).await.err()),
        ("give_up_notice", alerts.give_up_notice(&notice, &lease("a", 0, 1)).await.err()),
        ("mark_notice_sent", alerts.mark_notice_sent(&notice, at(0)).await.err()),
        ("notified_until", alerts.notified_until(&place("main"), at(1)).await.err()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_an_error_of_every_call_and_writes_nothing() {
    let (shop, script) = cola().await;
    let (_, commit) = sale(&shop).await;
    let faults = [
        Fault::DropBefore,
        error("ThrottlingException", "slow down"),
        error("ProvisionedThroughputExceededException", "slow down"),
        error("RequestLimitExceeded", "slow down"),
        error("TransactionInProgressException", "wait"),
        error("ExpiredTokenException", "The security token included in the request is expired"),
        error("UnrecognizedClientException", "The security token included in the request is invalid."),
        error("AccessDeniedException", "not authorized"),
        error("ResourceNotFoundException", "Requested resource not found"),
        Fault::Answer(500, json!({ "__type": "InternalServerError", "message": "sorry" })),
        Fault::Answer(503, json!("<html>not JSON of DynamoDB</html>")),
        Fault::Answer(200, json!("not an answer")),
    ];
    for fault in faults {
        script.always("*", fault.clone());
        for (call, error) in errors(&shop, &commit).await {
            assert!(matches!(error, Some(StoreError::Unavailable(_))), "{call} under {fault:?}: {error:?}");
        }
        script.clear();
    }
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 10, 1)]);
    assert!(shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries.is_empty());
    assert!(errors(&shop, &commit).await.iter().all(|(_, error)| error.is_none()));
    shop.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_and_a_missing_table_are_told_with_what_to_do() {
    let (shop, script) = cola().await;
    for (kind, advice) in [("ExpiredTokenException", "credentials"), ("ResourceNotFoundException", "table")] {
        script.always("*", error(kind, "sorry"));
        let told = shop.ports().queries.item(&item_id("cola")).await.unwrap_err().to_string();
        assert!(told.contains(kind) && told.contains(advice), "{told}");
        script.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_invalid_by_itself_is_refused() {
    let (shop, script) = cola().await;
    let (_, commit) = sale(&shop).await;
    script.always(WRITE, error("ValidationException", "Item size has exceeded the maximum allowed size"));
    assert!(matches!(shop.try_commit(commit).await, Ok(CommitOutcome::Refused(_))));
}

/// Leaves all rows but the first unprocessed, as a throttled table does.
fn leave_unprocessed(mut answer: Value) -> Value {
    let tables = answer["Responses"].as_object_mut().unwrap();
    let mut unprocessed = serde_json::Map::new();
    for (table, rows) in tables {
        let left = rows.as_array_mut().unwrap();
        if left.len() > 1 {
            let left = left.split_off(1);
            let keys: Vec<_> = left.iter().map(|row| json!({ "pk": row["pk"], "sk": row["sk"] })).collect();
            unprocessed.insert(table.clone(), json!({ "Keys": keys, "ConsistentRead": true }));
        }
    }
    answer["UnprocessedKeys"] = Value::Object(unprocessed);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn unprocessed_keys_are_asked_for_again_until_all_are_there() {
    let (shop, script) = cola().await;
    let mut request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    request.locations.insert(place("main"));
    let mut states = vec![CommandKey { item_id: item_id("cola"), command_id: id(9_999) }];
    for n in 0..8 {
        shop.open_location(&format!("shop-{n}")).await;
        let record = shop.receive("cola", &format!("shop-{n}"), n + 1, at(n)).await;
        request.locations.insert(place(&format!("shop-{n}")));
        states.push(CommandKey { item_id: item_id("cola"), command_id: record.outcome.command_id });
    }
    let (reads, whole) = (script.count(READ), shop.ports().store.load(std::slice::from_ref(&request)).await.remove(0));
    let undisturbed = script.count(READ) - reads;
    let records = shop.ports().queries.records(&states).await.unwrap();
    script.always(READ, Fault::Rewrite(leave_unprocessed));
    let reads = script.count(READ);
    let loaded = shop.ports().store.load(&[request]).await.remove(0).unwrap();
    assert_eq!((loaded.levels.len(), Some(loaded)), (9, whole.ok()));
    assert!(script.count(READ) - reads > undisturbed + 5);
    assert_eq!(shop.ports().queries.records(&states).await.unwrap(), records);
    for body in script.bodies(READ) {
        for (_, wanted) in body["RequestItems"].as_object().unwrap() {
            assert_eq!(wanted["ConsistentRead"], true, "{body}");
        }
    }
}

/// Leaves all rows unprocessed.
fn process_nothing(mut answer: Value) -> Value {
    let mut unprocessed = serde_json::Map::new();
    for (table, rows) in answer["Responses"].as_object_mut().unwrap() {
        let keys: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| json!({ "pk": row["pk"], "sk": row["sk"] })).collect();
        unprocessed.insert(table.clone(), json!({ "Keys": keys }));
        *rows = json!([]);
    }
    answer["UnprocessedKeys"] = Value::Object(unprocessed);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_processes_nothing_of_one_item_is_busy_after_a_bounded_number_of_reads() {
    let (shop, script) = cola().await;
    script.always(READ, Fault::Rewrite(process_nothing));
    let before = script.count(READ);
    let mut request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    request.locations.insert(place("main"));
    let store = &shop.ports().store;
    assert!(is_busy(store.load(std::slice::from_ref(&request)).await.remove(0)), "one key may be at fault");
    assert!(script.count(READ) - before <= 20, "{}", script.count(READ) - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_item_is_read_only_after_its_levels_are_in() {
    let (shop, script) = cola().await;
    let hold = Hold::new();
    let before = script.count("*");
    let mut request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    request.locations.insert(place("main"));
    script.next(READ, [Fault::Hold(hold.clone())]);
    let shop = Arc::new(shop);
    let loading = tokio::spawn({
        let shop = shop.clone();
        async move { shop.ports().store.load(&[request]).await.remove(0).unwrap() }
    });
    hold.reached().await;
    assert_eq!(script.count("*") - before, 1, "only the levels are asked for");
    let keys = script.bodies(READ).last().unwrap().to_string();
    assert!(keys.contains("LEVEL#main") && !keys.contains(r#""sk":{"S":"ITEM"}"#), "{keys}");
    // The item shows a change made meanwhile, and the level may be older. The reverse never happens.
    let renamed = shop.run("update_item", "cola", r#","unit":"can""#, at(5)).await;
    assert_eq!(renamed.outcome.status, Status::Applied);
    hold.release();
    assert_eq!(loading.await.unwrap().item.unwrap().catalogue.unit, "can");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_breaks_off_in_the_middle_is_an_error_and_no_shorter_list() {
    let (shop, script) = cola().await;
    for n in 0..12 {
        shop.register(&format!("item-{n}"), "").await;
    }
    let list = async || shop.ports().queries.items(&ItemFilter::default(), PageRequest::first(100)).await;
    let before = script.count("Query");
    assert_eq!(list().await.unwrap().entries.len(), 13);
    let calls = script.count("Query") - before;
    assert!(calls > 1);
    for broken in 0..calls {
        script.next("Query", vec![Fault::None; broken]);
        script.always("Query", Fault::DropBefore);
        assert!(is_unavailable(list().await), "broken off at query {broken} of {calls}");
        script.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_read_fails_no_commit_of_a_neighbour() {
    let (shop, script) = cola().await;
    shop.register("tea", "").await;
    shop.receive("tea", "main", 5, at(1)).await;
    let tea = shop.sale("tea", 1, at(2));
    let commits = vec![sale(&shop).await.1, shop.fold("tea", &[tea], at(2)).await.commit];
    // Both transactions are sent. The first one to arrive is throttled for good.
    script.next(WRITE, [canceled(&["ThrottlingError", "None"])]);
    let answers = shop.ports().store.commit(commits).await;
    let well = answers.iter().filter(|answer| matches!(answer, Ok(CommitOutcome::Committed))).count();
    let failed = answers.into_iter().filter(|answer| is_busy(answer.clone())).count();
    assert_eq!((well, failed), (1, 1));
}
