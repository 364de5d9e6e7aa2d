//! Checks the resources that `deploy/template.yaml` deploys.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{BillingMode, KeySchemaElement, ProjectionType, TableDescription};
use aws_sdk_sqs::types::QueueAttributeName;
use stockline_aws::dynamodb::table;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_tests::cognito;
use stockline_tests::sdk::clients;
use stockline_tests::stack::Stack;

#[tokio::test]
async fn the_template_deploys_what_the_code_expects() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let stack = Stack::deploy(&server, None).await;

    let clients = clients(&server);
    let described = clients.dynamodb.describe_table().table_name(stack.output("Table")).send().await.unwrap();
    the_table_is_as_the_code_has_it(&described.table.unwrap());
    the_queues_are_fifo_and_keep_what_they_get(&clients.sqs, &stack).await;
    tokens_carry_groups_and_scopes(&server, &stack).await;
}

fn the_table_is_as_the_code_has_it(deployed: &TableDescription) {
    assert_eq!(
        deployed.billing_mode_summary().and_then(|summary| summary.billing_mode()),
        Some(&BillingMode::PayPerRequest)
    );
    assert_eq!(deployed.key_schema(), table::key_schema(table::PK, table::SK));

    let mut attributes = deployed.attribute_definitions().to_vec();
    attributes.sort_by(|a, b| a.attribute_name().cmp(b.attribute_name()));
    assert_eq!(attributes, table::attribute_definitions());

    let indexes: BTreeMap<&str, (&[KeySchemaElement], Option<&ProjectionType>)> = deployed
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let projection = index.projection().and_then(|projection| projection.projection_type());
            (index.index_name().unwrap(), (index.key_schema(), projection))
        })
        .collect();
    let expected = table::indexes();
    let expected: BTreeMap<&str, (&[KeySchemaElement], Option<&ProjectionType>)> = expected
        .iter()
        .map(|index| {
            let projection = index.projection().and_then(|projection| projection.projection_type());
            (index.index_name(), (index.key_schema(), projection))
        })
        .collect();
    assert_eq!(indexes, expected);
}

async fn the_queues_are_fifo_and_keep_what_they_get(sqs: &aws_sdk_sqs::Client, stack: &Stack) {
    let attributes = async |output: &str| {
        let url = stack.output(output);
        let answer = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
        let attributes = answer.unwrap().attributes.unwrap();
        attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect::<BTreeMap<_, _>>()
    };
    let (queue, dlq) = (attributes("QueueUrl").await, attributes("DlqUrl").await);
    for fifo in [&queue, &dlq] {
        assert_eq!(fifo["FifoQueue"], "true");
        assert_eq!(fifo["FifoThroughputLimit"], "perMessageGroupId");
        assert_eq!(fifo["DeduplicationScope"], "messageGroup");
        assert_eq!(fifo["MessageRetentionPeriod"], (14 * 24 * 3600).to_string());
        assert_eq!(fifo.get("ContentBasedDeduplication").map_or("false", String::as_str), "false");
    }
    let redrive: serde_json::Value = serde_json::from_str(&queue["RedrivePolicy"]).unwrap();
    assert_eq!(redrive["deadLetterTargetArn"], dlq["QueueArn"].as_str());
    assert_eq!(redrive["maxReceiveCount"].to_string().trim_matches('"'), "1000");

    let alerts = attributes("AlertQueueUrl").await;
    assert!(alerts["Policy"].contains("sns.amazonaws.com"));
    assert!(alerts["RedrivePolicy"].contains(&attributes("AlertDlqUrl").await["QueueArn"]));
}

async fn tokens_carry_groups_and_scopes(server: &Ministack, stack: &Stack) {
    let manager = cognito::claims(&cognito::person(server, stack, "m@example.com", &["Manager"]).await);
    assert_eq!(manager["cognito:groups"], serde_json::json!(["Manager"]));
    assert_eq!(manager["iss"], stack.output("Issuer"));
    assert_eq!(manager["client_id"], stack.output("PeopleClient"));

    let till = cognito::claims(&cognito::machine(server, stack, &["stockline/commands"]).await);
    assert_eq!(till["scope"], "stockline/commands");
    assert_eq!(till["client_id"], stack.output("TillsClient"));

    for token in [&manager, &till] {
        assert_eq!(token["token_use"], "access");
    }
    let keys: serde_json::Value = reqwest::get(cognito::jwks_url(server, stack)).await.unwrap().json().await.unwrap();
    assert_eq!(keys["keys"][0]["alg"], "RS256");
}
