//! Calls CloudFormation and S3 of the AWS stand-in as any client does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ministack::{ACCESS_KEY_ID, Ministack, REGION};

/// The time after which a test fails if its stack is not created. It usually takes seconds.
const CREATED_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Creates a stack from a packaged template and returns its outputs.
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

const FORM: &str = "application/x-www-form-urlencoded";

/// Calls a service by AWS's query protocol, in this version of its API, and returns the XML.
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
    let headers = [("authorization", authorization(service)), ("content-type", FORM.to_owned())];
    server.post(action, &headers, body.join("&")).await
}

/// Creates a bucket and puts an object into it.
pub async fn upload(server: &Ministack, name: &str, key: &str, body: Vec<u8>) {
    bucket(server, name).await;
    put(server, &format!("{name}/{key}"), body).await;
}

/// Creates a bucket if it does not exist.
pub async fn bucket(server: &Ministack, name: &str) {
    put(server, name, Vec::new()).await;
}

async fn put(server: &Ministack, path: &str, body: Vec<u8>) {
    let request = reqwest::Client::new().put(format!("{}/{path}", server.url));
    let response = request.header("authorization", authorization("s3")).body(body).send().await.unwrap();
    assert!(response.status().is_success(), "PUT {path}: {}", response.status());
}

/// Returns the text of an object.
pub async fn object(server: &Ministack, bucket: &str, key: &str) -> String {
    let request = reqwest::Client::new().get(format!("{}/{bucket}/{key}", server.url));
    let response = request.header("authorization", authorization("s3")).send().await.unwrap();
    assert!(response.status().is_success(), "GET {bucket}/{key}: {}", response.status());
    response.text().await.unwrap()
}

/// Returns an `Authorization` header that names the service. The stand-in verifies no signature.
pub fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// Encodes a text for a form: everything but letters and digits.
pub fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encoded).collect()
}

/// Returns the text of the first XML element between these marks.
pub fn first_between(text: &str, before: &str, after: &str) -> Option<String> {
    all_between(text, before, after).into_iter().next()
}

/// Returns the texts of all elements between these marks.
pub fn all_between(text: &str, before: &str, after: &str) -> Vec<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after))
        .map(|(value, _)| value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
        .collect()
}
