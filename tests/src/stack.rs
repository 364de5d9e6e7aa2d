//! Deploys `deploy/template.yaml` on the AWS stand-in, through CloudFormation as on AWS: data, people and the alerter.
//! Network, services and scaling are left out, because the programs run as processes of the test and the stand-in lacks
//! some of these resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sdk::clients;
use stockline_deploy_checks::cloudformation::{all_between, create, upload};
use stockline_deploy_checks::iam::{ACCOUNT, Roles, arn};
use stockline_deploy_checks::ministack::{Ministack, REGION};
use stockline_deploy_checks::templates;
use stockline_deploy_checks::wiring::Wiring;

/// The sender of the mails.
pub const MAIL_FROM: &str = "stock@example.com";
/// The recipient of alerts from locations without their own addresses.
pub const ALERT_EMAILS: &str = "manager@example.com";

/// The extension of the files in the stand-in's folder that hold the standard output of programs and alerter.
pub(crate) const STDOUT: &str = "stdout";
/// The configuration set of the mails.
pub const MAIL_CONFIGURATION_SET: &str = "stockline-mails";

/// The visibility timeout of the workers. It is short, so that the messages of a killed worker return soon.
pub const STACK_VISIBILITY_S: u32 = 10;

const STACK: &str = "stockline";
/// The parts of the root that are deployed.
const PARTS: [&str; 3] = ["Data", "People", "Alerts"];
const CODE_BUCKET: &str = "code";
const ALERTER_KEY: &str = "alerter.zip";

/// A deployed stack.
#[derive(Debug)]
pub struct Stack {
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys the stack with an alerter and the address of the collector of its spans. The program stays where it was
    /// built; the uploaded function is a shell script that starts it. `None` is for tests that raise no alert: the
    /// function then only fails.
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
        // As in a new account, SES is in its sandbox, so sender and recipient must be verified. The template verifies
        // the sender.
        let ses = clients(server).ses;
        ses.create_email_identity().email_identity(ALERT_EMAILS).send().await.unwrap();
        ses.create_configuration_set().configuration_set_name(MAIL_CONFIGURATION_SET).send().await.unwrap();
        Self { outputs }
    }

    /// Returns an output of the template.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("the template has no output {name}"))
    }

    /// Returns the roles that the templates give to the programs, with the values of this deployment.
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

/// Uploads the parts and returns the root that refers to them, as `sam deploy` packages it.
async fn packaged(server: &Ministack) -> Value {
    let mut root = templates::read("template.yaml");
    let resources = root["Resources"].as_object_mut().unwrap();
    resources.retain(|name, _| PARTS.contains(&name.as_str()));
    for part in resources.values_mut() {
        let file = part["Properties"]["TemplateURL"].as_str().unwrap().to_owned();
        // Transformed here, because the stand-in transforms only the root.
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
