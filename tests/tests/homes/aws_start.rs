//! Tests the start errors of the deployed programs when a configured resource is missing, is of the wrong kind, or
//! denies access.

use std::process::{Command, Output};

use stockline_aws::dynamodb::table;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_deploy_checks::programs::binary;
use stockline_tests::sdk::clients;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Base64 of 32 bytes.
const RECEIPT_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

type Variables = Vec<(&'static str, String)>;

/// Returns all variables that the ingress or the worker requires. The resources that they name do not exist.
fn variables(server: &Ministack, of_worker: bool) -> Variables {
    let mut variables = server.environment();
    variables.extend([
        ("STOCKLINE_ENV", "test".to_owned()),
        ("STOCKLINE_TABLE", "no-such-table".to_owned()),
        ("STOCKLINE_QUEUE_URL", format!("{}/000000000000/no-such-queue.fifo", server.url)),
    ]);
    variables.extend(if of_worker {
        vec![
            ("STOCKLINE_DLQ_URL", format!("{}/000000000000/no-such-dlq.fifo", server.url)),
            ("STOCKLINE_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:no-such-topic".to_owned()),
            ("STOCKLINE_HEALTH_LISTEN", "127.0.0.1:0".to_owned()),
        ]
    } else {
        vec![
            ("STOCKLINE_ISSUER", format!("{}/pool", server.url)),
            ("STOCKLINE_CLIENT_IDS", "tills".to_owned()),
            ("STOCKLINE_RECEIPT_KEYS", RECEIPT_KEY.to_owned()),
            ("STOCKLINE_LISTEN", "127.0.0.1:0".to_owned()),
        ]
    });
    variables
}

async fn run(program: &str, arguments: &[&str], variables: &Variables) -> Output {
    let mut command = Command::new(binary(program));
    command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (*name, value)));
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Returns the error text of a start that the configuration makes fail.
async fn refused(program: &str, arguments: &[&str], variables: &Variables) -> String {
    let output = run(program, arguments, variables).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{program} {arguments:?}: {text}");
    text
}

#[tokio::test]
async fn all_that_is_not_there_is_named_under_its_variable_at_once() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let text = refused("ingress", &[], &variables(&server, false)).await;
    for name in ["STOCKLINE_TABLE: ", "STOCKLINE_QUEUE_URL: "] {
        assert!(text.contains(name), "{name}: {text}");
    }
    for arguments in [&[][..], &["audit"], &["dead-letters", "list"]] {
        let text = refused("worker", arguments, &variables(&server, true)).await;
        for name in ["STOCKLINE_TABLE: ", "STOCKLINE_QUEUE_URL: ", "STOCKLINE_TOPIC_ARN: "] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(text.contains("no-such-table") && text.contains("no-such-queue.fifo"), "{text}");
    }
}

#[tokio::test]
async fn a_standard_queue_is_the_wrong_kind() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let clients = clients(&server);
    table::creation(&clients.dynamodb, "stock").send().await.unwrap();
    let queue = clients.sqs.create_queue().queue_name("standard").send().await.unwrap();
    let mut variables = variables(&server, false);
    let queue_url = queue.queue_url().unwrap().to_owned();
    variables.extend([("STOCKLINE_TABLE", "stock".to_owned()), ("STOCKLINE_QUEUE_URL", queue_url)]);
    let text = refused("ingress", &[], &variables).await;
    assert!(text.contains("STOCKLINE_QUEUE_URL: ") && text.contains("FIFO"), "{text}");
    assert!(!text.contains("STOCKLINE_TABLE: "), "the table is well: {text}");
}

/// Starts a server that answers every request as DynamoDB and SQS do after a session has expired.
async fn expired() -> String {
    const BODY: &str =
        r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"the token is expired"}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                // The request is small, so one read is enough.
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n{BODY}",
                    BODY.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn credentials_that_have_expired_are_told_as_such() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let mut variables = variables(&server, false);
    variables.push(("AWS_ENDPOINT_URL", expired().await));
    let text = refused("ingress", &[], &variables).await;
    for name in ["STOCKLINE_TABLE: ", "STOCKLINE_QUEUE_URL: "] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(text.contains("expired") && text.contains("renew"), "{text}");
}

#[tokio::test]
async fn what_can_not_be_reached_is_no_fault_of_the_configuration() {
    if !aws_tests() {
        return;
    }
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let server = Ministack::start().await;
    let mut variables = variables(&server, true);
    variables.push(("AWS_ENDPOINT_URL", closed));
    let output = run("worker", &["audit"], &variables).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("STOCKLINE_TABLE: "), "{text}");
}
