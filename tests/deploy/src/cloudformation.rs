//! CloudFormation and S3 of the AWS stand-in, called as any client calls them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ministack::{ACCESS_KEY_ID, Ministack, REGION};

/// How long a stack may take before the test fails; it takes seconds.
const CREATED_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Makes a stack of a template in which nothing is left to package; its outputs.
pub async fn create(
    server: &Ministack,
    stack: &str,
    template: &Value,
    parameters: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut form = vec![
        ("StackName".to_owned(), stack.to_owned()),
        ("TemplateBody".to_owned(), template.to_string()),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM".to_owned()),
        ("Capabilities.member.2".to_owned(), "CAPABILITY_AUTO_EXPAND".to_owned()),
    ];
    for (index, (name, value)) in (1..).zip(parameters) {
        form.push((format!("Parameters.member.{index}.ParameterKey"), (*name).to_owned()));
        form.push((format!("Parameters.member.{index}.ParameterValue"), (*value).to_owned()));
    }
    cloudformation(server, "CreateStack", form).await;
    outputs_when_created(server, stack).await
}

async fn outputs_when_created(server: &Ministack, name: &str) -> BTreeMap<String, String> {
    let named = || vec![("StackName".to_owned(), name.to_owned())];
    let deadline = Instant::now() + CREATED_WITHIN;
    loop {
        let stack = cloudformation(server, "DescribeStacks", named()).await;
        let status = first_between(&stack, "<StackStatus>", "</StackStatus>").unwrap_or_default();
        if status == "CREATE_COMPLETE" {
            return all_between(&stack, "<OutputKey>", "</OutputKey>")
                .into_iter()
                .zip(all_between(&stack, "<OutputValue>", "</OutputValue>"))
                .collect();
        }
        if status != "CREATE_IN_PROGRESS" {
            let events = cloudformation(server, "DescribeStackEvents", named()).await;
            panic!("the stack is {status}: {:#?}", all_between(&events, "<ResourceStatusReason>", "<"));
        }
        assert!(Instant::now() < deadline, "the stack was not there in time");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn cloudformation(server: &Ministack, action: &str, form: Vec<(String, String)>) -> String {
    query(server, "cloudformation", "2010-05-15", action, form).await
}

/// Calls a service that speaks AWS's query protocol, in this version of its API; answers its XML.
pub async fn query(
    server: &Ministack,
    service: &str,
    version: &str,
    action: &str,
    mut form: Vec<(String, String)>,
) -> String {
    form.push(("Action".to_owned(), action.to_owned()));
    form.push(("Version".to_owned(), version.to_owned()));
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    let response = reqwest::Client::new()
        .post(&server.url)
        .header("authorization", authorization(service))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"))
        .send()
        .await
        .unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{action}: {status} {text}");
    text
}

/// Puts an object, in a bucket that is made for it.
pub async fn upload(server: &Ministack, name: &str, key: &str, body: Vec<u8>) {
    bucket(server, name).await;
    put(server, &format!("{name}/{key}"), body).await;
}

/// Makes a bucket; one that is there stays.
pub async fn bucket(server: &Ministack, name: &str) {
    put(server, name, Vec::new()).await;
}

async fn put(server: &Ministack, path: &str, body: Vec<u8>) {
    let request = reqwest::Client::new().put(format!("{}/{path}", server.url));
    let response = request.header("authorization", authorization("s3")).body(body).send().await.unwrap();
    assert!(response.status().is_success(), "PUT {path}: {}", response.status());
}

/// An object's text.
pub async fn object(server: &Ministack, bucket: &str, key: &str) -> String {
    let request = reqwest::Client::new().get(format!("{}/{bucket}/{key}", server.url));
    let response = request.header("authorization", authorization("s3")).send().await.unwrap();
    assert!(response.status().is_success(), "GET {bucket}/{key}: {}", response.status());
    response.text().await.unwrap()
}

/// Says whose service is meant; the stand-in verifies no signature.
pub fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// For a form: everything but letters and digits is encoded.
pub fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encoded).collect()
}

/// The text of an XML element, of the first one of its kind.
pub fn first_between(text: &str, before: &str, after: &str) -> Option<String> {
    all_between(text, before, after).into_iter().next()
}

/// As [`first_between`], of all of them.
pub fn all_between(text: &str, before: &str, after: &str) -> Vec<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after))
        .map(|(value, _)| value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
        .collect()
}
