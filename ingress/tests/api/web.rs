//! Tests how browsers and proxies reach the API.

use reqwest::header::ORIGIN;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::{Server, id, token};

const TILL: &str = "https://till.example.com";

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_ascii_lowercase()).unwrap_or_default()
}

async fn preflight(server: &Server, origin: &str) -> Response {
    reqwest::Client::new()
        .request(Method::OPTIONS, format!("{}/v1/commands", server.url))
        .header(ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key,prefer")
        .send()
        .await
        .unwrap()
}

async fn post(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).bearer_auth(token(&["Manager"]));
    request.header(ORIGIN, TILL).header("content-type", "application/json").body(body).send().await.unwrap()
}

fn sale(n: u32) -> String {
    json!({"type": "sell", "command_id": id(n), "item_id": "cola", "location_id": "shop-1", "quantity": "1"})
        .to_string()
}

#[tokio::test]
async fn the_pages_of_a_listed_origin_may_call_the_api_and_those_of_others_may_not() {
    let server = Server::with(|config| config.web.origins = vec![TILL.parse().unwrap()]).await;
    let allowed = preflight(&server, TILL).await;
    assert!(allowed.status().is_success());
    assert_eq!(header(&allowed, "access-control-allow-origin"), TILL);
    assert!(header(&allowed, "access-control-allow-methods").contains("post"));
    for name in ["authorization", "content-type", "idempotency-key", "prefer", "if-none-match"] {
        assert!(header(&allowed, "access-control-allow-headers").contains(name), "{name}");
    }
    assert!(header(&allowed, "vary").contains("origin"));
    for other in ["https://evil.example.com", "http://till.example.com", "https://till.example.com:444", "null"] {
        assert_eq!(header(&preflight(&server, other).await, "access-control-allow-origin"), "", "{other}");
    }
    let accepted = post(&server, "/v1/commands", sale(1)).await;
    assert_eq!((accepted.status().as_u16(), header(&accepted, "access-control-allow-origin")), (202, TILL.into()));
    for name in ["location", "retry-after", "etag", "x-request-id"] {
        assert!(header(&accepted, "access-control-expose-headers").contains(name), "{name}");
    }
    let refused = post(&server, "/v1/commands", "{").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-origin")), (400, TILL.into()));
}

#[tokio::test]
async fn without_a_list_no_page_of_another_origin_may_call_the_api() {
    let server = Server::with(|_| {}).await;
    let refused = preflight(&server, TILL).await;
    assert_eq!(refused.status(), 405);
    let told = refused.text().await.unwrap();
    assert!(told.contains(TILL) && told.contains("--cors-origin"), "the operator is told what to do: {told}");
    assert_eq!(header(&post(&server, "/v1/commands", sale(1)).await, "access-control-allow-origin"), "");
}

#[tokio::test]
async fn behind_a_proxy_every_link_has_the_base_path_whether_the_proxy_takes_it_away_or_not() {
    let server = Server::with(|config| config.web.base_path = "/stock".parse().unwrap()).await;
    for (n, path) in [(1, "/v1/commands"), (2, "/stock/v1/commands")] {
        let answer = post(&server, path, sale(n)).await;
        let location = header(&answer, "location");
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let url = body["status_url"].as_str().unwrap();
        assert!(url.starts_with("/stock/v1/items/cola/commands/") && location == url.to_ascii_lowercase(), "{url}");
    }
    let batch = json!({"commands": [serde_json::from_str::<Value>(&sale(3)).unwrap(), {}]}).to_string();
    let text = post(&server, "/stock/v1/commands/batch", batch).await.text().await.unwrap();
    assert!(text.contains("\"/stock/v1/items/") && text.contains("\"/stock/docs#problem-"), "{text}");
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.url)).await.unwrap();
    for path in ["/stock/healthz", "/healthz", "/stock/docs", "/stock/v1/limits?"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    assert_eq!(get("/stocks/healthz").await.status(), 404);
    // The pages' links are relative: without the slash they would lead out of the base path.
    let first = get("/stock?from=home").await;
    assert_eq!((first.status().as_u16(), first.url().path(), first.url().query()), (200, "/stock/", Some("from=home")));
    let document: Value = serde_json::from_str(&get("/stock/openapi.json").await.text().await.unwrap()).unwrap();
    assert_eq!(document["servers"][0]["url"], "/stock");
}

#[tokio::test]
async fn a_body_in_another_encoding_is_told_which() {
    let server = Server::with(|_| {}).await;
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (body, part) in [
        ([b"\xef\xbb\xbf", sale(1).as_bytes()].concat(), "byte order mark"),
        (utf16(&format!("\u{feff}{}", sale(1))), "UTF-16"),
        (utf16(&sale(1)), "UTF-16"),
        (b"{\"note\":\"Gr\xfc\xdfe\"}".to_vec(), "byte 12 of the body is not UTF-8"),
        (b"{\"note\":\"Gr\xc3".to_vec(), "ends too early"),
    ] {
        for path in ["/v1/commands", "/v1/commands/batch"] {
            let answer = post(&server, path, body.clone()).await;
            assert_eq!(answer.status(), 400, "{path} {part}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("malformed_json") && text.contains(part), "{path} {part}: {text}");
        }
    }
}
