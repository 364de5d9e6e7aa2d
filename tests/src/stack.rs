//! `deploy/template.yaml` on the AWS stand-in, through CloudFormation as on AWS: what holds data, who may sign in, and the
//! alerter. The programs run as processes of the test, so network, services and scaling are left out; the stand-in has
//! not all of their resources.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::iam::{ACCOUNT, Roles, arn};
use crate::ministack::{ACCESS_KEY_ID, Ministack, REGION};
use crate::process::PATIENCE;
use crate::templates;
use crate::wiring::Wiring;

/// Who the mails come from.
pub const MAIL_FROM: &str = "stock@example.com";
/// Who gets the alerts of locations that name nobody.
pub const ALERT_EMAILS: &str = "manager@example.com";

/// The extension of the files, in the stand-in's folder, with what programs and alerter wrote to standard output.
pub(crate) const TOLD: &str = "told";
/// The mails' configuration set.
pub const MAIL_CONFIGURATION_SET: &str = "stockline-mails";

/// For how long workers hold a message; short, so that what a killed one held comes back soon.
pub const STACK_VISIBILITY_S: u32 = 10;

const STACK: &str = "stockline";
/// Of the root's parts, those that are deployed.
const PARTS: [&str; 3] = ["Data", "People", "Alerts"];
const CODE_BUCKET: &str = "code";
const ALERTER_KEY: &str = "alerter.zip";
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A deployed stack.
#[derive(Debug)]
pub struct Stack {
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys it with an alerter that a shell starts so: the program stays where it was built, and what is uploaded
    /// starts it. `None` for tests that raise no alert: then the function does nothing but fail.
    pub async fn deploy(server: &Ministack, alerter: Option<&str>) -> Self {
        let code = server.zip("bootstrap", &format!("#!/bin/sh\n{}\n", alerter.unwrap_or("exec false"))).await;
        upload(server, CODE_BUCKET, ALERTER_KEY, code).await;
        let root = packaged(server).await;

        let parameters = [
            ("IngressImage", "none"),
            ("WorkerImage", "none"),
            ("DomainName", "stock.example.com"),
            ("CertificateArn", "arn:aws:acm:us-east-1:000000000000:certificate/none"),
            ("Environment", "test"),
            ("MailFrom", MAIL_FROM),
            ("MailIdentity", MAIL_FROM),
            ("AlertEmails", ALERT_EMAILS),
            ("MailConfigurationSet", MAIL_CONFIGURATION_SET),
            ("PasswordSignIn", "true"),
            ("VisibilityS", &STACK_VISIBILITY_S.to_string()),
        ];
        let outputs = create(server, STACK, &root, &parameters).await;
        // An account in SES's sandbox, as a new one is: both ends of a mail are verified. The sender is by the template.
        let ses = server.clients().ses;
        ses.create_email_identity().email_identity(ALERT_EMAILS).send().await.unwrap();
        ses.create_configuration_set().configuration_set_name(MAIL_CONFIGURATION_SET).send().await.unwrap();
        Self { outputs }
    }

    /// One of the template's outputs.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("the template has no output {name}"))
    }

    /// What the templates allow the programs, here.
    pub fn roles(&self) -> Roles {
        let queue = |output| arn("sqs", self.output(output).rsplit('/').next().unwrap_or_default());
        let names = [
            ("AWS::Partition", "aws".to_owned()),
            ("AWS::Region", REGION.to_owned()),
            ("AWS::AccountId", ACCOUNT.to_owned()),
            ("data.yaml/Table.Arn", arn("dynamodb", &format!("table/{}", self.output("Table")))),
            ("data.yaml/CommandQueue.Arn", queue("QueueUrl")),
            ("data.yaml/CommandDlq.Arn", queue("DlqUrl")),
            ("data.yaml/AlertTopic", self.output("TopicArn").to_owned()),
            ("MailFrom", MAIL_FROM.to_owned()),
            ("MailConfigurationSet", MAIL_CONFIGURATION_SET.to_owned()),
        ];
        Roles::new(&Wiring::read(), &names)
    }
}

/// The root with its parts where CloudFormation finds them, as `sam deploy` packages it.
async fn packaged(server: &Ministack) -> Value {
    let mut root = templates::read("template.yaml");
    let resources = root["Resources"].as_object_mut().unwrap();
    resources.retain(|name, _| PARTS.contains(&name.as_str()));
    for part in resources.values_mut() {
        let file = part["Properties"]["TemplateURL"].as_str().unwrap().to_owned();
        // Transformed here, since the stand-in transforms only the root.
        let template = templates::transformed(&file, CODE_BUCKET, ALERTER_KEY);
        upload(server, CODE_BUCKET, &file, template.to_string().into_bytes()).await;
        part["Properties"]["TemplateURL"] = json!(format!("{}/{CODE_BUCKET}/{file}", server.url));
    }
    let outputs = root["Outputs"].as_object_mut().unwrap();
    outputs.retain(|_, output| {
        let mentioned = all_between(&output.to_string(), "{\"Fn::GetAtt\":[\"", "\"");
        !mentioned.is_empty() && mentioned.iter().all(|part| PARTS.contains(&part.as_str()))
    });
    root
}

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
    let deadline = Instant::now() + PATIENCE;
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
async fn upload(server: &Ministack, name: &str, key: &str, body: Vec<u8>) {
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
pub(crate) fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// For a form: everything but letters and digits is encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
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
