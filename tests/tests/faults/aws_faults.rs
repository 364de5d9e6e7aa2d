//! Tests the queue, alerts and mail of the AWS home under answers that no stand-in gives: one refused entry in a batch,
//! throttling, late and lost answers, expired credentials. It also tests the errors of a start with the wrong
//! resources.

use std::time::Duration;

use serde_json::{Value, json};
use stockline_aws::{Clients, SesMailer, SnsPublisher, SqsOptions, SqsQueue, StartError};
use stockline_core::domain::Alert;
use stockline_core::ports::{
    AlertPublisher, CommandReceiver, CommandSender, Handle, Mail, MailError, Mailer, Pack, QueueError,
};
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_tests::aws_queues::create_command_queues;
use stockline_tests::inject::{ATTEMPTS, Fault, Script, error, sdk_config};
use stockline_tests::sdk;
use uuid::Uuid;

/// No server listens at this address.
const NOWHERE: &str = "http://127.0.0.1:9";
const URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/commands.fifo";
const DLQ_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/commands-dlq.fifo";
const DLQ_ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:commands-dlq.fifo";
const SEND_MAIL: &str = "POST /v2/email/outbound-emails";

fn clients(script: &Script) -> Clients {
    Clients::from_sdk_config(&sdk_config(NOWHERE, script))
}

fn queue(script: &Script) -> SqsQueue {
    SqsQueue::new(clients(script).sqs, URL.into(), None, SqsOptions::default())
}

fn packs(count: u128) -> Vec<Pack> {
    let pack =
        |n| Pack { item_id: format!("item-{n}").parse().unwrap(), dedup_id: Uuid::from_u128(n), body: "1".into() };
    (0..count).map(pack).collect()
}

fn sent(ids: &[&str]) -> Vec<Value> {
    ids.iter()
        .map(|id| json!({ "Id": id, "MessageId": id, "MD5OfMessageBody": "c4ca4238a0b923820dcc509a6f75849b" }))
        .collect()
}

fn failed(id: &str, code: &str, message: &str) -> Value {
    json!({ "Id": id, "Code": code, "Message": message, "SenderFault": false })
}

fn handle(text: &str) -> Handle {
    Handle(text.into())
}

fn unavailable<T: std::fmt::Debug>(result: &Result<T, QueueError>) -> &str {
    match result {
        Err(QueueError::Unavailable(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pack_that_is_refused_fails_alone_and_one_that_is_not_named_has_failed() {
    let script = Script::new();
    let refused = failed("1", "InternalError", "try again");
    script.next(
        "SendMessageBatch",
        [Fault::Answer(200, json!({ "Successful": sent(&["2", "0"]), "Failed": [refused] }))],
    );
    let results = queue(&script).send(packs(4)).await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert_eq!(unavailable(&results[1]), "InternalError: try again");
    assert!(unavailable(&results[3]).contains("returned no result"));
    assert_eq!(script.count("SendMessageBatch"), 1, "the adapter repeats nothing");
}

#[tokio::test]
async fn a_throttled_call_is_tried_three_times_and_no_more() {
    let script = Script::new();
    let throttled = error("RequestThrottled", "slow down");
    script.next("SendMessageBatch", [throttled.clone(), throttled.clone()]);
    script.next("SendMessageBatch", [Fault::Answer(200, json!({ "Successful": sent(&["0"]), "Failed": [] }))]);
    assert!(queue(&script).send(packs(1)).await[0].is_ok());
    script.next_call("SendMessageBatch", &throttled);
    let results = queue(&script).send(packs(3)).await;
    assert!(results.iter().all(|result| unavailable(result) == "RequestThrottled: slow down"), "{results:?}");
    assert!(script.is_played());
    assert_eq!(script.count("SendMessageBatch"), 2 * ATTEMPTS);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_in_time() {
    let script = Script::new();
    script.always("SendMessageBatch", Fault::Delay(Duration::from_secs(600)));
    let timeouts = aws_config::timeout::TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(20));
    let config = sdk_config(NOWHERE, &script).to_builder().timeout_config(timeouts.build()).build();
    let queue = SqsQueue::new(Clients::from_sdk_config(&config).sqs, URL.into(), None, SqsOptions::default());
    assert_eq!(unavailable(&queue.send(packs(1)).await[0]), "no answer in time");
    assert_eq!(script.count("SendMessageBatch"), ATTEMPTS);
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_repeated_as_the_same_and_queued_once() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let (url, dlq_url) = create_command_queues(&sdk::clients(&server), 1_000).await;
    let script = Script::new();
    let clients = Clients::from_sdk_config(&sdk_config(&server.url, &script));
    let queue = SqsQueue::new(clients.sqs, url, Some(dlq_url), SqsOptions::default());
    script.next("SendMessageBatch", [Fault::DropAfter]);
    assert!(queue.send(packs(1)).await[0].is_ok());
    script.lose_next_answer("SendMessageBatch");
    let pack = packs(2).remove(1);
    unavailable(&queue.send(vec![pack.clone()]).await[0]);
    assert!(queue.send(vec![pack]).await[0].is_ok());
    let attempts = script.bodies("SendMessageBatch");
    assert_eq!(attempts.len(), 2 + ATTEMPTS + 1);
    assert_eq!(attempts[0], attempts[1]);
    let mut received = Vec::new();
    for n in 0..3 {
        received.extend(queue.receive(10, Duration::ZERO, Uuid::from_u128(n)).await.unwrap());
    }
    assert_eq!(received.len(), 2, "{received:?}");
}

#[tokio::test]
async fn a_receive_is_repeated_under_its_own_attempt_and_each_queue_has_another() {
    let script = Script::new();
    let queue = SqsQueue::new(clients(&script).sqs, URL.into(), Some(DLQ_URL.into()), SqsOptions::default());
    let message = json!({ "MessageId": "m", "ReceiptHandle": "r", "Body": "1", "Attributes": { "ApproximateReceiveCount": "3" } });
    script.next("ReceiveMessage", [Fault::DropAfter, Fault::Answer(200, json!({}))]);
    script.next("ReceiveMessage", [Fault::DropBefore, Fault::Answer(200, json!({ "Messages": [message] }))]);
    let attempt = Uuid::from_u128(5);
    let deliveries = queue.receive(40, Duration::from_millis(1_200), attempt).await.unwrap();
    let seen = (&*deliveries[0].group, deliveries[0].receives, deliveries[0].set_aside);
    assert_eq!(seen, ("", 3, false), "a message of a standard queue has no group");
    let requests = script.bodies("ReceiveMessage");
    let asked = |name: &str| requests.iter().map(|request| request[name].clone()).collect::<Vec<_>>();
    assert_eq!(asked("QueueUrl"), [DLQ_URL, DLQ_URL, URL, URL]);
    assert_eq!(asked("WaitTimeSeconds"), [0, 0, 2, 2]);
    assert_eq!(asked("MaxNumberOfMessages"), [10; 4]);
    assert_eq!(asked("VisibilityTimeout"), [60; 4]);
    let attempts = asked("ReceiveRequestAttemptId");
    assert_eq!(attempts[0], attempts[1]);
    assert_ne!(attempts[0], attempts[2]);
    assert_eq!(attempts[2..], [json!(attempt), json!(attempt)]);
}

#[tokio::test]
async fn a_dead_letter_queue_that_fails_does_not_stop_the_main_one() {
    let script = Script::new();
    let options = SqsOptions { dlq_interval: Duration::ZERO, ..SqsOptions::default() };
    let queue = SqsQueue::new(clients(&script).sqs, URL.into(), Some(DLQ_URL.into()), options);
    script.next("ReceiveMessage", [error("AccessDenied", "no"), Fault::Answer(200, json!({}))]);
    assert!(queue.receive(10, Duration::ZERO, Uuid::from_u128(1)).await.unwrap().is_empty());
    let set_aside = json!({ "MessageId": "m", "ReceiptHandle": "r", "Body": "1" });
    script.next("ReceiveMessage", [Fault::Answer(200, json!({ "Messages": [set_aside] }))]);
    let deliveries = queue.receive(10, Duration::ZERO, Uuid::from_u128(2)).await.unwrap();
    assert!(deliveries[0].set_aside);
    let attempts: Vec<Value> =
        script.bodies("ReceiveMessage").iter().map(|request| request["ReceiveRequestAttemptId"].clone()).collect();
    assert_eq!(attempts[0], attempts[2], "what the failed read may hold comes again to the same attempt");
    script.next("DeleteMessageBatch", [Fault::Answer(200, json!({ "Successful": [{ "Id": "0" }], "Failed": [] }))]);
    assert!(queue.ack(&[deliveries[0].handle.clone()]).await[0].is_ok());
    assert_eq!(script.bodies("DeleteMessageBatch")[0]["QueueUrl"], DLQ_URL);
}

#[tokio::test]
async fn an_expired_handle_is_known_in_an_entry_and_as_a_whole_and_an_outage_is_not_taken_for_it() {
    let script = Script::new();
    let queue = queue(&script);
    let expired = "Value r1 for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
    let handles = [handle("q:r0"), handle("q:r1"), handle("q:r2")];
    let entries = json!({
        "Successful": [{ "Id": "2" }],
        "Failed": [failed("1", "InvalidParameterValue", expired), failed("0", "InternalError", "")],
    });
    script.next("DeleteMessageBatch", [Fault::Answer(200, entries.clone())]);
    script.next("ChangeMessageVisibilityBatch", [Fault::Answer(200, entries)]);
    let longer = handles.clone().map(|handle| (handle, Duration::from_millis(30_500)));
    for results in [queue.ack(&handles).await, queue.change_visibility(&longer).await] {
        unavailable(&results[0]);
        assert!(matches!(results[1], Err(QueueError::HandleExpired)), "{results:?}");
        assert!(results[2].is_ok(), "{results:?}");
    }
    assert_eq!(script.bodies("ChangeMessageVisibilityBatch")[0]["Entries"][0]["VisibilityTimeout"], 31);
    script.next("DeleteMessageBatch", [error("ReceiptHandleIsInvalid", expired)]);
    assert!(queue.ack(&handles).await.iter().all(|result| matches!(result, Err(QueueError::HandleExpired))));
    script.next_call("DeleteMessageBatch", &Fault::Answer(503, json!({})));
    queue.ack(&handles).await.iter().for_each(|result| assert_eq!(unavailable(result), "HTTP status 503"));
}

#[tokio::test]
async fn credentials_that_run_out_are_an_outage_that_says_so() {
    let script = Script::new();
    script.always("*", error("ExpiredToken", "The security token included in the request is expired"));
    let queue = queue(&script);
    let wanted = "ExpiredToken: The security token included in the request is expired";
    assert_eq!(unavailable(&queue.receive(1, Duration::ZERO, Uuid::nil()).await), wanted);
    assert_eq!(unavailable(&queue.send(packs(1)).await[0]), wanted);
    assert_eq!(unavailable(&queue.depth().await), wanted);
}

fn attributes(main: bool) -> Value {
    let mut attributes = json!({
        "FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
        "MessageRetentionPeriod": "1209600", "MaximumMessageSize": "1048576", "QueueArn": DLQ_ARN,
    });
    if main {
        let policy = json!({ "deadLetterTargetArn": DLQ_ARN, "maxReceiveCount": "1000" });
        attributes["RedrivePolicy"] = json!(policy.to_string());
    }
    attributes
}

/// Returns the result of a start whose main queue has `value` as the attribute `name`, or lacks it if `value` is null.
async fn started_with(name: &str, value: Value) -> Result<(), StartError> {
    let (script, mut main) = (Script::new(), attributes(true));
    match value {
        Value::Null => drop(main.as_object_mut().unwrap().remove(name)),
        value => main[name] = value,
    }
    for attributes in [main, attributes(false)] {
        script.next("GetQueueAttributes", [Fault::Answer(200, json!({ "Attributes": attributes }))]);
    }
    let sqs = clients(&script).sqs;
    SqsQueue::new(sqs, URL.into(), Some(DLQ_URL.into()), SqsOptions::default()).check().await
}

#[tokio::test]
async fn a_queue_of_the_wrong_kind_is_told_with_what_to_set() {
    started_with("QueueArn", json!("arn")).await.unwrap();
    let other = json!({ "deadLetterTargetArn": "arn:other", "maxReceiveCount": 1000 }).to_string();
    for (name, value, says) in [
        ("FifoQueue", Value::Null, "create a FIFO queue"),
        ("DeduplicationScope", json!("queue"), "set DeduplicationScope to messageGroup"),
        ("FifoThroughputLimit", json!("perQueue"), "FifoThroughputLimit to perMessageGroupId"),
        ("MaximumMessageSize", json!("1024"), "set MaximumMessageSize to 61440 or more"),
        ("RedrivePolicy", Value::Null, "has no RedrivePolicy"),
        ("RedrivePolicy", json!("{"), "can't be read"),
        ("RedrivePolicy", json!(other), "sets messages aside to arn:other"),
    ] {
        match started_with(name, value).await {
            Err(StartError::WrongKind(text)) => assert!(text.contains(says) && text.contains(URL), "{name}: {text}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let script = Script::new();
    script.next("GetQueueAttributes", [Fault::Answer(200, json!({ "Attributes": attributes(true) }))]);
    let queue = SqsQueue::new(clients(&script).sqs, "https://q".into(), None, SqsOptions::default());
    assert!(matches!(queue.check().await, Err(StartError::WrongKind(_))), "its name does not end in .fifo");
}

#[tokio::test]
async fn what_a_start_can_not_look_at_is_told_with_what_to_do() {
    let of = |fault: Fault| async move {
        let script = Script::new();
        script.always("*", fault);
        queue(&script).check().await.unwrap_err()
    };
    for (code, kind, says) in [
        ("QueueDoesNotExist", "Missing", "create it"),
        ("AWS.SimpleQueueService.NonExistentQueue", "Missing", "create it"),
        ("ExpiredToken", "Credentials", "renew them"),
        ("InvalidClientTokenId", "Credentials", "are not valid"),
        ("SignatureDoesNotMatch", "Credentials", "clock"),
        ("AccessDenied", "Credentials", "sqs:GetQueueAttributes is not allowed"),
        ("InternalFailure", "Unreachable", "InternalFailure"),
        ("ThrottlingException", "Unreachable", "ThrottlingException"),
        ("InvalidParameterValue", "WrongKind", "correct its name"),
    ] {
        let error = of(error(code, "as scripted")).await;
        assert!(format!("{error:?}").starts_with(kind), "{code}: {error:?}");
        assert!(error.to_string().contains(says) && error.to_string().contains(URL), "{code}: {error}");
    }
    let error = of(Fault::DropBefore).await;
    assert!(matches!(&error, StartError::Unreachable(text) if text.contains("AWS_ENDPOINT_URL")), "{error}");

    let script = Script::new();
    let config = sdk_config(NOWHERE, &script).to_builder();
    let nobody = aws_sdk_sqs::config::SharedCredentialsProvider::new(Nobody);
    let clients = Clients::from_sdk_config(&config.credentials_provider(nobody).build());
    let queue = SqsQueue::new(clients.sqs, URL.into(), None, SqsOptions::default());
    let error = queue.check().await.unwrap_err();
    assert!(matches!(&error, StartError::Credentials(text) if text.contains("there are no credentials")), "{error}");
}

/// A credentials provider that has none, as on a machine without a role.
#[derive(Debug)]
struct Nobody;

impl aws_credential_types::provider::ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let none = aws_credential_types::provider::error::CredentialsError::not_loaded("no providers in chain");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(none))
    }
}

#[tokio::test]
async fn a_topic_is_looked_at_at_start() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let sns = sdk::clients(&server).sns;
    let topic = sns.create_topic().name("alerts").send().await.unwrap().topic_arn.unwrap();
    SnsPublisher::new(sns.clone(), topic.clone()).check().await.unwrap();
    let fifo = sns.create_topic().name("alerts.fifo").attributes("FifoTopic", "true").send().await.unwrap();
    let error = SnsPublisher::new(sns.clone(), fifo.topic_arn.unwrap()).check().await.unwrap_err();
    assert!(matches!(&error, StartError::WrongKind(text) if text.contains("standard topic")), "{error}");
    let error = SnsPublisher::new(sns, format!("{topic}-not")).check().await.unwrap_err();
    assert!(matches!(&error, StartError::Missing(_)), "{error:?}");
}

#[tokio::test]
async fn a_topic_that_does_not_answer_fails_each_alert() {
    let script = Script::new();
    script.always("PublishBatch", Fault::DropBefore);
    let alert = json!({
        "item_id": "cola", "location_id": "main", "alert_no": 1, "kind": "low", "on_hand": "1", "seq": 1,
        "raised_at": "2026-01-31T08:00:00Z", "command_id": Uuid::nil(), "item_name": "Cola", "unit": "piece",
    });
    let alert: Alert = serde_json::from_value(alert).unwrap();
    let results = SnsPublisher::new(clients(&script).sns, "arn:aws:sns:eu-central-1:1:alerts".into())
        .publish(&vec![alert; 11])
        .await;
    assert_eq!(results.len(), 11);
    results.iter().for_each(|result| assert!(unavailable(result).contains("as scripted"), "{result:?}"));
    assert_eq!(script.count("PublishBatch"), 2 * ATTEMPTS, "two calls");
}

fn mail() -> Mail {
    Mail {
        id: "cola:shop-1:1".into(),
        to: vec!["Käthe <eve@example.com>".into()],
        subject: "Käse is low".into(),
        text: "x".into(),
        html: "<p>x</p>".into(),
    }
}

#[tokio::test]
async fn a_mail_names_its_id_and_sets_its_configuration() {
    let script = Script::new();
    script.next(SEND_MAIL, [Fault::Answer(200, json!({ "MessageId": "m" }))]);
    let mailer = SesMailer::new(clients(&script).ses, "Stockline <a@example.com>".into(), Some("ours".into()));
    mailer.send(&mail()).await.unwrap();
    let request = &script.bodies(SEND_MAIL)[0];
    assert_eq!(request["ConfigurationSetName"], "ours");
    assert_eq!(request["FromEmailAddress"], "\"Stockline\" <a@example.com>");
    assert_eq!(request["Destination"]["ToAddresses"], json!(["=?utf-8?B?S8OkdGhl?= <eve@example.com>"]));
    let simple = &request["Content"]["Simple"];
    assert_eq!(simple["Headers"], json!([{ "Name": "X-Stockline-Id", "Value": "cola:shop-1:1" }]));
    assert_eq!(simple["Subject"], json!({ "Data": "Käse is low", "Charset": "UTF-8" }));
    assert_eq!(simple["Body"]["Html"]["Data"], "<p>x</p>");
}

#[tokio::test]
async fn a_refused_mail_and_an_outage_are_told_apart_and_no_address_is_repeated() {
    let of = |status: u16, code: &'static str| async move {
        let script = Script::new();
        let body = json!({ "__type": code, "message": "not verified: eve@example.com" });
        script.always(SEND_MAIL, Fault::Answer(status, body));
        let mailer = SesMailer::new(clients(&script).ses, "a@example.com".into(), None);
        (mailer.send(&mail()).await.unwrap_err(), script.count(SEND_MAIL))
    };
    for code in ["MessageRejected", "BadRequestException"] {
        let (error, attempts) = of(400, code).await;
        assert!(matches!(&error, MailError::Refused(text) if !text.contains("eve") && text.contains(code)), "{error}");
        assert_eq!(attempts, 1);
    }
    for (status, code) in [
        (429, "TooManyRequestsException"),
        (400, "LimitExceededException"),
        (503, "ServiceUnavailable"),
        (400, "AccountSuspendedException"),
        (400, "SendingPausedException"),
        (400, "MailFromDomainNotVerifiedException"),
        (404, "NotFoundException"),
    ] {
        let (error, attempts) = of(status, code).await;
        assert!(matches!(&error, MailError::Unavailable(text) if !text.contains("eve")), "{code}: {error}");
        assert_eq!(attempts, 1, "{code}: a mail is never tried twice in one go");
    }
}
