use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use stockline_tests::aws::{Installation, POLL_EVERY, Valve};
use stockline_tests::cognito;
use stockline_tests::process::{PATIENCE, with_id};
use stockline_tests::sdk::clients;

/// P10: rights come from Cognito's groups and scopes, and every entry names the person or machine that made it.
pub(crate) async fn p10_nobody_acts_beyond_their_role(home: &Installation) {
    home.stock_up("apples", "10", None).await;
    let adjust = with_id(json!({
        "type": "adjust", "item_id": "apples", "location_id": "main", "quantity": "-1", "reason": "damaged",
    }));
    let sale = with_id(json!({"type": "sell", "item_id": "apples", "location_id": "main", "quantity": "1"}));
    let visitor = cognito::person(&home.server, &home.stack, "visitor@example.com", &[]).await;
    let bound = cognito::person(&home.server, &home.stack, "far@example.com", &["Staff", "location.far"]).await;
    let reader = cognito::machine(&home.server, &home.stack, &["stockline/read"]).await;

    for (who, token, command, expected) in [
        ("Staff may not adjust", &home.staff, &adjust, 403),
        ("a till may not adjust", &home.till, &adjust, 403),
        ("a token with neither group may nothing", &visitor, &sale, 403),
        ("Staff of another place may not sell here", &bound, &sale, 403),
        ("a reader may not sell", &reader, &sale, 403),
        ("nobody's token is taken", &"eyJ.eyJ.sig".to_owned(), &sale, 401),
    ] {
        let (status, answer) = home.send(token, "POST", "/v1/commands", Some(command)).await.unwrap();
        assert_eq!(status, expected, "{who}: {answer}");
    }

    let mut expected = Vec::new();
    for (token, command) in [(&home.manager, &adjust), (&home.staff, &sale), (&home.till, &with_id(again(&sale)))] {
        let outcome = home.settle(token, command.clone()).await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
        expected.push(subject(token));
    }
    let ledger = home.ledger("apples").await;
    let named: Vec<&Value> = ledger[1..].iter().map(|entry| &entry["submitted_by"]).collect();
    assert_eq!(named, expected.iter().collect::<Vec<_>>());

    a_stolen_till_is_cut_off(home, &sale).await;
    let (_, seen_by_staff) = home.send(&home.staff, "GET", "/v1/items/apples", None).await.unwrap();
    assert_eq!(seen_by_staff["on_hand"], "7");
    assert_eq!(seen_by_staff.get("unit_cost").filter(|cost| !cost.is_null()), None, "costs are the Manager's");
    assert_eq!(home.get("/v1/items/apples").await["unit_cost"], "1.25");
}

/// A Manager disables the tills' client, lists it as disabled, and registers it again.
async fn a_stolen_till_is_cut_off(home: &Installation, sale: &Value) {
    let client = home.stack.output("TillsClient");
    let path = format!("/v1/clients/{client}");
    let settings = |disabled: bool| json!({"name": "Tills", "rights": ["commands", "read"], "locations": null, "disabled": disabled});
    let put = async |disabled: bool| {
        let (status, answer) = home.send(&home.manager, "PUT", &path, Some(&settings(disabled))).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    };
    put(true).await;
    let (status, answer) = home.send(&home.till, "POST", "/v1/commands", Some(sale)).await.unwrap();
    assert_eq!((status, &answer["code"]), (401, &json!("token_client_disabled")), "{answer}");
    let listed = home.get("/v1/clients").await;
    assert_eq!(listed["clients"][0]["client_id"], client);
    assert_eq!(listed["clients"][0]["disabled"], true);
    put(false).await;
    for words in [["clients", "list"].as_slice(), &["clients", "disable", client], &["clients", "enable", client]] {
        let done = home.worker_command(words).await;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && text.contains(client), "{words:?}: {text}");
    }
}

/// Returns the same command without its id.
/// P10, and design.md §1: an ingress that starts while no way leads to the issuer verifies tokens with the keys that another
/// one has kept in the table, and accepts no other token.
pub(crate) async fn an_ingress_starts_without_a_way_to_the_issuer(home: &Installation) {
    let issuer = Valve::to(&home.server.url).await;
    let keys = cognito::jwks_url(&home.server, &home.stack).replace(&home.server.url, &issuer.url);
    let change = [("STOCKLINE_JWKS_URL", keys.clone())];
    // Keys are kept under their address: nobody has kept any under the valve's yet.
    let other = home.ingress_beside(&change).await;
    are_kept(home, &keys).await;
    other.stop().await;

    issuer.shut();
    let broken = issuer.broken();
    let alone = home.ingress_beside(&change).await;
    assert!(issuer.broken() > broken, "it has looked for the issuer");
    let sale = with_id(json!({"type": "sell", "item_id": "apples", "location_id": "main", "quantity": "1"}));
    let sold = async |token: &str| {
        let request = reqwest::Client::new().post(format!("{}/v1/commands", alone.url)).bearer_auth(token);
        let answer = request.header("prefer", "wait=20").json(&sale).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, outcome) = sold(&home.till).await;
    assert_eq!((status, &outcome["status"]), (200, &json!("applied")), "{outcome}");
    // The same claims under another signature.
    let (claims, signature) = home.till.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(sold(&forged).await.0, 401);
    assert!(alone.log().contains("the keys that another process fetched"), "{}", alone.log());
    alone.stop().await;
}

/// Waits until the keys of this address are kept.
async fn are_kept(home: &Installation, address: &str) {
    let dynamodb = clients(&home.server).dynamodb;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let get = dynamodb.get_item().table_name(home.stack.output("Table")).consistent_read(true);
        let row = get.key("pk", text("ISSUERKEYS")).key("sk", text(address)).send().await.unwrap();
        if row.item.is_some() {
            return;
        }
        assert!(Instant::now() < deadline, "the keys of {address} are not kept");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

fn again(command: &Value) -> Value {
    let mut command = command.clone();
    command.as_object_mut().unwrap().remove("command_id");
    command
}

/// Returns the subject of a token: a person's `sub` or a machine's `client_id`.
fn subject(token: &str) -> Value {
    let claims = cognito::claims(token);
    if claims.get("cognito:groups").is_some() { claims["sub"].clone() } else { claims["client_id"].clone() }
}
