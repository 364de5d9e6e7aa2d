use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockline_alerter::{Adapters, Alerter, Config, MIN_LEASE};
use stockline_aws::{DynamoOptions, DynamoStore, SesMailer, SqsOptions, SqsQueue};
use stockline_core::domain::{Commit, DeadLetter, ItemId, Record, Slot, decode_message};
use stockline_core::ports::{Clock, CommandReceiver as _, CommitOutcome, Store as _};
use stockline_deploy_checks::iam::{Access, Grant, PROGRAMS, Policy};
use stockline_deploy_checks::ministack::random_id;
use stockline_deploy_checks::templates;
use stockline_service::SystemClock;
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, with_id};
use stockline_tests::sdk::{clients, clients_at};
use stockline_tests::stack::{ALERT_EMAILS, MAIL_CONFIGURATION_SET, MAIL_FROM};

const DAY_MS: i64 = 24 * 3_600_000;

/// All other actions on tables, queues, topics and mail. If a role had one of them, the test must notice.
const OTHER_ACTIONS: [&str; 21] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
    "ses:SendEmail",
    "ses:SendRawEmail",
    "sns:Publish",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

/// Grants of these actions must have a condition: on the keys that the program writes, or on its sender address.
const BOUND: [&str; 5] =
    ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "ses:SendEmail"];

/// Resources that can't be named one by one.
const ANY_RESOURCE: [&str; 1] = [
    // In its sandbox SES also checks the recipients' identities. The condition restricts the sender.
    ":identity/*",
];

/// Puts a message into the dead letter queue, as SQS does. The next worker that starts reads it.
pub(crate) async fn set_aside_by_sqs(home: &Installation) {
    home.stock_up("eggs", "6", None).await;
    let command = json!({
        "type": "sell", "item_id": "eggs", "location_id": "main", "quantity": "1", "command_id": random_id(),
    });
    let enveloped = json!({"command": command, "accepted_at": "2026-01-31T08:15:00Z", "by": "somebody"});
    let body = json!({"v": 1, "item_id": "eggs", "commands": [enveloped]});
    home.queue_at(home.stack.output("DlqUrl"), "eggs", &body.to_string()).await;
}

/// Calls every read and every kind of command that the other parts leave out.
pub(crate) async fn the_rest_of_the_api(home: &Installation) {
    assert_eq!(home.get("/v1/items/eggs").await["on_hand"], "5", "what SQS set aside was applied");
    let far = json!({"name": "Far away"});
    let (status, location) = home.send(&home.manager, "PUT", "/v1/locations/far", Some(&far)).await.unwrap();
    assert!(matches!(status, 200 | 201), "{status} {location}");
    let smoke = home.worker_command(&["smoke"]).await;
    let steps = String::from_utf8_lossy(&smoke.stdout).into_owned();
    assert!(smoke.status.success() && !steps.contains("FAILS") && !steps.contains("left out"), "{steps}");
    for change in [
        json!({"type": "update_item", "item_id": "eggs", "barcodes": ["4006381333931"]}),
        json!({"type": "update_item", "item_id": "eggs", "barcodes": []}),
        json!({"type": "set_threshold", "item_id": "eggs", "low_stock_threshold": "1"}),
    ] {
        let outcome = home.settle(&home.manager, change).await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
    }

    let misplaced = with_id(json!({"type": "sell", "item_id": "eggs", "location_id": "moon", "quantity": "1"}));
    let refused = home.settle(&home.staff, misplaced.clone()).await;
    assert_eq!(refused["rejection"]["code"], "unknown_location", "{refused}");
    let of_it = format!("/v1/items/eggs/commands/{}", misplaced["command_id"].as_str().unwrap());
    let because = json!({"reason": "there is no shop on the moon"});
    let (status, dismissed) =
        home.send(&home.manager, "POST", &format!("{of_it}/dismiss"), Some(&because)).await.unwrap();
    assert_eq!(status, 200, "{dismissed}");
    let path = format!("{of_it}/resubmit");
    let correction = json!({"location_id": "main"});
    let (status, accepted) = home.send(&home.manager, "POST", &path, Some(&correction)).await.unwrap();
    assert_eq!(status, 202, "{accepted}");
    let outcome = home.outcome(&home.manager, accepted["status_url"].as_str().unwrap()).await;
    assert_eq!(outcome["effects"][0]["after"], "4", "{outcome}");

    for list in [
        "/v1/items?barcode=4006381333931",
        "/v1/items/eggs/changes",
        "/v1/commands?status=applied&type=register_item",
        "/v1/locations",
        "/v1/locations/far",
        "/v1/stock",
        "/v1/stock?location_id=main",
        "/v1/stock?location_id=main&state=low",
        "/v1/items/eggs/stock?as_of=2026-02-01T00:00:00Z",
        "/v1/analytics/value",
    ] {
        home.get(list).await;
    }
    let (status, problem) = home.send(&home.manager, "GET", "/v1/movements?operator=7", None).await.unwrap();
    assert_eq!((status, &problem["code"]), (404, &"list_not_kept".into()));
    assert!(problem["detail"].as_str().unwrap().contains("/v1/items/{item_id}/movements"), "where to look instead");
}

/// If an operator retries a readable dead letter, by its id or among all, it is applied.
pub(crate) async fn dead_letters_are_tried_again(home: &Installation) {
    for (arguments, left) in [(&["retry", "eggs"][..], "3"), (&["retry", "--all"], "2")] {
        let id = dead_letter(home).await;
        let mut arguments = [&["dead-letters"], arguments].concat();
        if arguments.contains(&"eggs") {
            arguments.push(&id);
        }
        let output = home.worker_command(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        let path = format!("/v1/items/eggs/commands/{id}");
        let deadline = Instant::now() + PATIENCE;
        let mut outcome = home.get(&path).await;
        while outcome["status"] == "dead_lettered" {
            assert!(Instant::now() < deadline, "it was not tried again: {outcome}");
            tokio::time::sleep(POLL_EVERY).await;
            outcome = home.get(&path).await;
        }
        assert_eq!(outcome["effects"][0]["after"], left, "{outcome}");
    }
}

/// Writes a dead letter as a worker does after the store refused the command.
async fn dead_letter(home: &Installation) -> String {
    let item_id: ItemId = "eggs".parse().unwrap();
    let command = with_id(json!({"type": "sell", "item_id": "eggs", "location_id": "main", "quantity": "1"}));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let enveloped = json!({"command": command, "accepted_at": clock.now().to_string(), "by": "somebody"});
    let body = json!({"v": 1, "item_id": "eggs", "commands": [enveloped]}).to_string();
    let slots = decode_message(&item_id, "m", &body, clock.now()).unwrap();
    let [Slot::Command(queued)] = slots.as_slice() else { panic!("{slots:?}") };
    let letter = DeadLetter::of("the store refused it".to_owned(), body.clone());
    let id = (item_id.clone(), queued.command.command_id);
    let mut commit = Commit::new(item_id);
    commit.records.push(Record::dead_letter(Some(queued), letter, id, clock.now()));
    let (table, options) = (home.stack.output("Table").to_owned(), DynamoOptions::default());
    let store = DynamoStore::new(clients(&home.server).dynamodb, table, options, clock);
    let committed = store.commit(vec![commit]).await;
    assert!(matches!(committed.as_slice(), [Ok(CommitOutcome::Committed)]), "{committed:?}");
    queued.command.command_id.to_string()
}

/// The alerter accepts the schedule's input as a request for daily notices.
pub(crate) async fn the_schedule_is_understood(home: &Installation) {
    let function = templates::read("alerter.yaml")["Resources"]["Alerter"].clone();
    let input = function["Properties"]["Events"]["DailyNotice"]["Properties"]["Input"].as_str().unwrap().to_owned();
    let name = home.stack.output("AlerterFunction");
    let path = format!("{}/2015-03-31/functions/{name}/invocations", home.server.url);
    let answer = reqwest::Client::new().post(path).body(input).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["mailed"].is_u64(), "{answer}");
}

/// Runs two paths that a short run does not reach, with the programs' own adapters: the end of a day with its notice of
/// refused commands, and a dead letter that must wait.
pub(crate) async fn what_takes_longer(home: &Installation) {
    let through_guard = clients_at(&home.guard.url, "alerter");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (table, options) = (home.stack.output("Table").to_owned(), DynamoOptions::default());
    let store = Arc::new(DynamoStore::new(through_guard.dynamodb, table, options, Arc::clone(&clock)));
    let mailer = SesMailer::new(through_guard.ses, MAIL_FROM.to_owned(), Some(MAIL_CONFIGURATION_SET.to_owned()));
    let config = Config { recipients: vec![ALERT_EMAILS.to_owned()], lease: MIN_LEASE, public_url: None };
    let adapters = Adapters {
        book: store.clone(),
        locations: store.clone(),
        queries: store,
        mailer: Arc::new(mailer),
        clock: Arc::clone(&clock),
    };
    // At noon tomorrow the notice is due in every time zone.
    let noon = clock.now().plus_millis(DAY_MS * 3 / 2 - clock.now().as_millis() % DAY_MS);
    // An earlier part deleted the identity to have a mail refused. So this notice is refused too, and its claim given up.
    let alerter = Alerter::new(config.clone(), adapters.clone());
    assert_eq!(alerter.daily_notices(noon).await, 0);
    clients(&home.server).ses.create_email_identity().email_identity(ALERT_EMAILS).send().await.unwrap();
    assert_eq!(Alerter::new(config, adapters).daily_notices(noon).await, 1);

    let (main, dlq) = (home.stack.output("QueueUrl").to_owned(), home.stack.output("DlqUrl"));
    home.queue_at(dlq, "eggs", "to be looked at again later").await;
    let sqs = clients_at(&home.guard.url, "worker").sqs;
    let queue = SqsQueue::new(sqs, main, Some(dlq.to_owned()), SqsOptions::default());
    let received = queue.receive(1, Duration::from_secs(1), random_id()).await.unwrap();
    let [delivery] = received.as_slice() else { panic!("{received:?}") };
    assert!(delivery.set_aside);
    for settled in [
        queue.change_visibility(&[(delivery.handle.clone(), Duration::from_secs(30))]).await,
        queue.ack(std::slice::from_ref(&delivery.handle)).await,
    ] {
        assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    }
}

/// Each role allows exactly the accesses that its program made in this run. If a permission were removed or added, this
/// test would fail.
pub(crate) fn least_privilege(home: &Installation) {
    let recorded = home.guard.recorded();
    assert_eq!(recorded.refused, BTreeSet::new(), "a role lacks a permission, or a program makes an unknown call");
    let mut faults = Vec::new();
    for program in PROGRAMS {
        let policy = home.guard.roles().of(program).unwrap();
        let accesses = &recorded.accesses[program];
        let needless = policy.grants().into_iter().filter(|grant| is_needless(policy, grant, accesses));
        faults.extend(needless.map(|grant| format!("{program} does not need {}", grant.text())));
        faults.extend(too_wide(policy).into_iter().map(|grant| format!("{program} may do anything in {grant}")));
        for action in OTHER_ACTIONS {
            for wider in policy.each_with(action) {
                // An extra permission is needless itself, or it makes another one needless.
                let (added, others): (Vec<_>, Vec<_>) =
                    wider.grants().into_iter().partition(|grant| grant.action == action);
                if !added.iter().chain(&others).any(|grant| is_needless(&wider, grant, accesses)) {
                    faults.push(format!("{program} with {action}: nobody notices"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Reports whether all recorded accesses would be allowed without a grant.
fn is_needless(policy: &Policy, grant: &Grant, accesses: &BTreeSet<Access>) -> bool {
    accesses.iter().all(|access| policy.allows_without(access, Some(grant)))
}

/// Returns the grants that have a needless wildcard or lack a condition.
fn too_wide(policy: &Policy) -> Vec<String> {
    let wide = policy.grants().into_iter().filter(|grant| {
        let named = |text: &str| !text.contains(['*', '?']);
        let resource = named(&grant.resource) || ANY_RESOURCE.iter().any(|any| grant.resource.ends_with(any));
        let key = grant.condition.as_ref().is_none_or(|(_, value)| named(value.trim_end_matches("#*")));
        let bound = !BOUND.contains(&grant.action.as_str()) || grant.condition.is_some();
        !(named(&grant.action) && resource && key && bound)
    });
    wide.map(|grant| grant.text()).collect()
}
