//! `deploy/template.yaml` on the AWS stand-in, through CloudFormation as on AWS: what holds data, who may sign in, and the
//! alerter. The programs run as processes of the test, so network, services and scaling are left out; the stand-in has
//! not all of their resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sdk::clients;
use stockline_deploy_checks::cloudformation::{all_between, create, upload};
use stockline_deploy_checks::iam::{ACCOUNT, Roles, arn};
use stockline_deploy_checks::ministack::{Ministack, REGION};
use stockline_deploy_checks::templates;
use stockline_deploy_checks::wiring::Wiring;

/// Who the mails come from.
pub const MAIL_FROM: &str = "stock@example.com";
/// Who gets the alerts of locations that name nobody.
pub const ALERT_EMAILS: &str = "manager@example.com";

/// The extension of the files, in the stand-in's folder, with what programs and alerter wrote to standard output.
pub(crate) const STDOUT: &str = "stdout";
/// The mails' configuration set.
pub const MAIL_CONFIGURATION_SET: &str = "stockline-mails";

/// For how long workers hold a message; short, so that what a killed one held comes back soon.
pub const STACK_VISIBILITY_S: u32 = 10;

const STACK: &str = "stockline";
/// Of the root's parts, those that are deployed.
const PARTS: [&str; 3] = ["Data", "People", "Alerts"];
const CODE_BUCKET: &str = "code";
const ALERTER_KEY: &str = "alerter.zip";

/// A deployed stack.
#[derive(Debug)]
pub struct Stack {
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys it with an alerter that a shell starts so: the program stays where it was built, and what is uploaded
    /// starts it. With it comes the address of the collector of its spans. `None` for tests that raise no alert: then the function does nothing but fail.
    pub async fn deploy(server: &Ministack, alerter: Option<(&str, &str)>) -> Self {
        let (alerter, otlp_endpoint) = alerter.unwrap_or(("exec false", ""));
        let code = server.zip("bootstrap", &format!("#!/bin/sh\n{}\n", alerter)).await;
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
            ("OtlpEndpoint", otlp_endpoint),
            ("VisibilityS", &STACK_VISIBILITY_S.to_string()),
        ];
        let outputs = create(server, STACK, &root, &parameters).await;
        // An account in SES's sandbox, as a new one is: both ends of a mail are verified. The sender is by the template.
        let ses = clients(server).ses;
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
