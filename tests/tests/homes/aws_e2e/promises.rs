use futures_util::future::join_all;
use serde_json::{Value, json};
use stockline_tests::aws::{Installation, decimal};
use stockline_tests::process::with_id;

/// P5: if 120 buyers want 4 units, 4 get one and 116 are refused.
pub(crate) async fn p5_no_oversell_where_the_policy_says_reject(home: &Installation) {
    home.stock_up("print", "4", None).await;
    let sale = json!({
        "type": "sell", "item_id": "print", "location_id": "main", "quantity": "1", "on_shortage": "reject",
    });
    let outcomes = join_all((0..120).map(|_| home.settle(&home.till, sale.clone()))).await;
    let count = |status: &str| outcomes.iter().filter(|outcome| outcome["status"] == status).count();
    assert_eq!((count("applied"), count("rejected")), (4, 116));
    let refused_rightly = |o: &Value| o["status"] == "applied" || o["rejection"]["code"] == "insufficient_stock";
    assert!(outcomes.iter().all(refused_rightly), "{outcomes:#?}");
    assert_eq!(home.get("/v1/items/print").await["on_hand"], "0");
    let refused = home.get("/v1/commands?status=rejected&code=insufficient_stock&limit=1000").await;
    assert_eq!(refused["commands"].as_array().unwrap().len(), 116, "nobody's refused sale vanishes");
}

/// P2 and P7: a command id takes effect once, however often it is sent. Every answer is the first answer. If the same
/// id comes with another payload, the answer is 409.
pub(crate) async fn p2_p7_a_replay_takes_stock_once_and_answers_as_the_first(home: &Installation) {
    home.stock_up("cola", "10", None).await;
    let sale = with_id(json!({"type": "sell", "item_id": "cola", "location_id": "main", "quantity": "1"}));
    let first = home.settle(&home.till, sale.clone()).await;
    let again = join_all((0..10).map(|_| home.settle(&home.till, sale.clone()))).await;
    assert!(again.iter().all(|outcome| *outcome == first), "{first} {again:#?}");

    let mut other = sale.clone();
    other["quantity"] = json!("2");
    let (_, accepted) = home.send(&home.till, "POST", "/v1/commands", Some(&other)).await.unwrap();
    let path = accepted["status_url"].as_str().unwrap();
    let (status, problem) = home.send(&home.till, "GET", path, None).await.unwrap();
    assert_eq!((status, &problem["code"]), (409, &json!("command_id_reused")), "{problem}");
    // This command is behind all the others in the queue.
    let last =
        home.settle(&home.till, json!({"type": "return", "item_id": "cola", "location_id": "main", "quantity": "1"}));
    assert_eq!(last.await["effects"][0]["after"], "10");
    assert_eq!(home.ledger("cola").await.len(), 3);
}

/// P8: an unreadable command is set aside and listed, and can be discarded. The other commands of its message, its
/// batch and its item go on.
pub(crate) async fn p8_one_bad_command_harms_only_itself(home: &Installation) {
    home.stock_up("bread", "10", None).await;
    let sale = || with_id(json!({"type": "sell", "item_id": "bread", "location_id": "main", "quantity": "1"}));

    let mut bad_line = sale();
    bad_line["quantity"] = json!("1e3");
    let batch = json!({"commands": [sale(), bad_line, sale()]});
    let (status, answer) = home.send(&home.till, "POST", "/v1/commands/batch", Some(&batch)).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let lines: Vec<&str> = answer["results"].as_array().unwrap().iter().filter_map(|r| r["status"].as_str()).collect();
    assert_eq!(lines, ["queued", "invalid", "queued"]);

    // No ingress would send these messages.
    let enveloped =
        |command: Value| json!({"command": command, "accepted_at": "2026-01-31T08:15:00Z", "by": "somebody"});
    let mixed = json!({
        "v": 1, "item_id": "bread", "commands": [enveloped(sale()), {"nonsense": true}, enveloped(sale())],
    });
    for body in [mixed.to_string(), "not a message".to_owned()] {
        home.queue("bread", &body).await;
    }
    let last = home.settle(&home.till, sale()).await;
    assert_eq!(last["effects"][0]["after"], "5", "{last}");

    let set_aside = dead_letters(home).await;
    assert_eq!(set_aside.len(), 2, "{set_aside:#?}");
    for letter in &set_aside {
        let id = letter["outcome"]["command_id"].as_str().unwrap();
        let output = home.worker_command(&["dead-letters", "discard", "bread", id]).await;
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(dead_letters(home).await, Vec::<Value>::new());
}

async fn dead_letters(home: &Installation) -> Vec<Value> {
    let output = home.worker_command(&["dead-letters", "list", "--json"]).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// P4: every ledger has no gaps and adds up to its level, by the API and by the worker's audit. Nothing is left over
/// anywhere.
pub(crate) async fn p4_the_ledger_explains_the_stock(home: &Installation) {
    let items = home.get("/v1/items?limit=1000").await;
    let items = items["items"].as_array().unwrap();
    assert!(items.len() > 10, "{}", items.len());
    for item in items {
        let ledger = home.ledger(item["item_id"].as_str().unwrap()).await;
        let mut balance = 0;
        for (seq, entry) in (1_u64..).zip(&ledger) {
            assert_eq!((entry["seq"].as_u64(), decimal(&entry["before"])), (Some(seq), balance), "{entry}");
            balance += decimal(&entry["delta"]);
            assert_eq!(decimal(&entry["after"]), balance, "{entry}");
        }
        assert_eq!(decimal(&item["on_hand"]), balance, "{item}");
    }

    let audit = home.worker_command(&["audit"]).await;
    assert_eq!(audit.status.code(), Some(0), "{}{}", text(&audit.stdout), text(&audit.stderr));
    assert_eq!(dead_letters(home).await, Vec::<Value>::new());
    for output in ["QueueUrl", "DlqUrl", "AlertDlqUrl"] {
        let left = home.server.queue_messages(home.stack.output(output)).await;
        assert!(left.is_empty(), "{output}: {left:#?}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
