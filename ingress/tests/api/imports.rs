//! Tests imports over HTTP: judged, applied, found again, refused.

use reqwest::Method;
use serde_json::Value;

use crate::server::{Answer, Client, Server};

const ITEMS: &str = "sku;name;on_hand:main;Barcode\ntea;Tea;12;4006381333931\nrice;Rice;1.250;\n";

async fn post(client: &Client, query: &str, file: &str) -> Answer {
    client.send_file(Method::POST, &format!("/v1/imports?{query}"), file.as_bytes().to_vec()).await
}

/// Applies an import and waits for its end.
async fn applied(client: &Client, id: &str, query: &str) -> Value {
    let answer = client.send_file(Method::POST, &format!("/v1/imports/{id}/apply{query}"), Vec::new()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    loop {
        let import = client.get(&format!("/v1/imports/{id}")).await.body;
        if import["status"] != "applying" {
            return import;
        }
        tokio::task::yield_now().await;
    }
}

fn id(answer: &Answer) -> String {
    answer.body["import_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_is_judged_corrected_and_applied_once() {
    let server = Server::start().await;
    let manager = server.manager();
    let judged = post(&manager, "type=items&file=items.csv", ITEMS).await;
    assert_eq!(judged.status, 200, "{}", judged.text);
    assert_eq!((&judged.body["totals"]["create"], &judged.body["totals"]["faulty"]), (&1.into(), &1.into()));
    let fault = &judged.body["faults"][0];
    assert_eq!(
        (&fault["line"], &fault["code"], &fault["value"]),
        (&3.into(), &"ambiguous_number".into(), &"1.250".into())
    );
    assert_eq!(manager.get("/v1/items/tea").await.status, 404, "nothing was changed");

    let path = format!("/v1/imports/{}/apply", id(&judged));
    let refused = manager.send_file(Method::POST, &path, Vec::new()).await;
    assert_eq!((refused.status, refused.code()), (409, "import_faulty"));
    let result = manager.get(&format!("/v1/imports/{}/result", id(&judged))).await;
    assert!(result.text.contains("\n3,ambiguous_number,"), "{}", result.text);

    let import = applied(&manager, &id(&judged), "?faulty=skip").await;
    assert_eq!((&import["status"], &import["progress"]["applied"]), (&"applied".into(), &2.into()), "{import}");
    assert_eq!(manager.get("/v1/items/tea").await.body["on_hand"], "12");

    // What is corrected in the result file is imported, and nothing else happens again.
    let corrected = result.text.replace("1.250", "1250");
    let second = post(&manager, "type=items", &corrected).await;
    assert_eq!(second.body["faults_total"], 0, "{}", second.text);
    applied(&manager, &id(&second), "").await;
    let all = post(&manager, "type=items", &ITEMS.replace("1.250", "1250")).await;
    assert_eq!((&all.body["totals"]["leave"], &all.body["totals"]["steps"]), (&2.into(), &0.into()), "{}", all.text);
    assert_eq!(manager.get("/v1/items/rice").await.body["on_hand"], "1250");
}

#[tokio::test]
async fn the_same_file_has_the_same_id_and_only_its_poster_finds_it() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let file = "item_id,counted\ncola,7\n";
    let first = post(&manager, "type=counts&location_id=shop-1", file).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = post(&manager, "type=counts&location_id=shop-1&show=0", file).await;
    assert_eq!(id(&first), id(&again));
    assert_ne!(id(&first), id(&post(&manager, "type=counts&location_id=shop-2", file).await));
    assert_eq!(server.staff().get(&format!("/v1/imports/{}", id(&first))).await.code(), "forbidden");
    assert_eq!(manager.get("/v1/imports/0b1f6c1e-7a7e-5d0c-9a52-0d9a7a3f1b11").await.code(), "import_not_found");

    let change = &first.body["lines"][0]["changes"][0];
    assert_eq!((&change["field"], &change["to"]), (&"on_hand".into(), &"7".into()));
    let import = applied(&manager, &id(&first), "").await;
    assert_eq!(import["progress"]["applied"], 1);
    // A count of the same file is the same count, also after a sale.
    manager.sell(900, "shop-1", "1").await;
    let later = post(&manager, "type=counts&location_id=shop-1", file).await;
    assert_eq!(
        (&later.body["totals"]["leave"], &later.body["totals"]["steps"]),
        (&1.into(), &0.into()),
        "{}",
        later.text
    );
    let batch = post(&manager, "type=counts&location_id=shop-1&batch=next", file).await;
    assert_eq!(batch.body["totals"]["change"], 1);
}

#[tokio::test]
async fn a_manager_of_one_shop_imports_and_learns_only_of_it() {
    let server = Server::stocked().await;
    let bound = server.client(&["Manager", "location.shop-1"]);
    let file = "item_id,location_id,on_hand\ncola,shop-1,999\ncola,shop-2,999\n";
    let judged = post(&bound, "type=stock", file).await;
    let codes: Vec<_> =
        judged.body["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["already_stocked", "forbidden"], "{}", judged.text);
    let theirs = judged.body["faults"][1].to_string();
    assert!(!theirs.contains("on hand"), "{theirs}");
}

#[tokio::test]
async fn what_cant_be_imported_is_refused_with_what_to_do() {
    let server = Server::with(|config| config.limits.import_bytes = 1_000).await;
    let manager = server.manager();
    for (query, file, code, says) in [
        ("type=items", "", "invalid_import", "is empty"),
        ("type=items", "PK\u{3}\u{4} no", "invalid_import", "damaged"),
        ("type=items", "<html><table>", "invalid_import", "a web page"),
        ("type=counts", "sku,name\n", "invalid_import", "needs a column counted"),
        ("type=items&map=price=x", "sku\n", "invalid_import", "no field"),
        ("type=things", "sku\n", "invalid_parameter", "not valid"),
        ("", "sku\n", "invalid_parameter", "not valid"),
        ("type=items&time_zone=Mars&decimal=x&place=a&map=b&show=1001", "sku\n", "invalid_parameter", "not valid"),
    ] {
        let answer = post(&manager, query, file).await;
        assert_eq!(answer.code(), code, "{query}: {}", answer.text);
        assert!(answer.text.contains(says) || code == "invalid_parameter", "{query}: {}", answer.text);
    }
    assert_eq!(post(&manager, "type=items", &"x".repeat(1_001)).await.code(), "body_too_large");
    let unknown = post(&manager, "type=items", "sku,name,colour\na,A,red\n").await;
    assert_eq!(
        (&unknown.body["faults"][0]["code"], &unknown.body["can_apply"]),
        (&"unknown_column".into(), &false.into())
    );
    let path = format!("/v1/imports/{}/apply?faulty=skip", id(&unknown));
    assert_eq!(
        manager.send_file(Method::POST, &path, Vec::new()).await.code(),
        "import_faulty",
        "a whole column is not skipped"
    );
}

#[tokio::test]
async fn imports_make_room_for_others_and_large_ones_are_refused() {
    let server = Server::with(|config| config.limits.imports_bytes = 2_000).await;
    let manager = server.manager();
    let file = |name: &str| format!("sku,name\n{name},{}\n", "x".repeat(150));
    let first = post(&manager, "type=items", &file("a")).await;
    for name in ["b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        assert_eq!(post(&manager, "type=items", &file(name)).await.status, 200);
    }
    assert_eq!(manager.get(&format!("/v1/imports/{}", id(&first))).await.code(), "import_not_found");
    let large = format!("sku,name\n{}", (0..100).map(|n| format!("sku-{n},name {n}\n")).collect::<String>());
    let refused = post(&manager, "type=items", &large).await;
    assert_eq!((refused.status, refused.code()), (503, "overloaded"));
}

#[tokio::test]
async fn the_templates_can_be_imported() {
    let server = Server::start().await;
    let manager = server.manager();
    for kind in ["locations", "items", "stock", "counts", "thresholds"] {
        let template = manager.get(&format!("/v1/import-templates/{kind}")).await;
        let judged = post(&manager, &format!("type={kind}"), &template.text).await;
        // The stock of the template of items is there already, as the template of stock has it.
        assert_eq!(judged.body["faults_total"], 0, "{kind}: {}", judged.text);
        if judged.body["totals"]["steps"] != 0 {
            let import = applied(&manager, &id(&judged), "").await;
            assert_eq!(import["progress"]["refused"], 0, "{kind}: {import}");
        }
    }
    assert_eq!(manager.get("/v1/import-templates/x").await.code(), "invalid_id");
}
