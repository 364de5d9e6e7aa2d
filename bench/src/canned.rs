//! A DynamoDB endpoint without an engine: it reads from a copied table and answers success to every write.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use stockline_aws::dynamodb::table::{PK, SK};

use crate::background_server::BackgroundServer;
use crate::engine::{Engine, TABLE};

/// Rows as JSON answers, by key.
type Rows = HashMap<(String, String), String>;

/// A running endpoint. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Canned(BackgroundServer);

impl Canned {
    /// Copies the table of an engine and starts to answer from the copy.
    pub(crate) async fn copy_of(engine: &Engine) -> Result<Self> {
        let rows = Arc::new(read_all(&engine.client(None)).await?);
        let router = Router::new().fallback(answer).with_state(rows);
        let serve = async |listener| {
            // It stops when it is dropped. An earlier error shows up in the first call.
            let _ = axum::serve(listener, router).await;
        };
        Ok(Self(BackgroundServer::start("canned", serve)?))
    }

    /// Returns the endpoint.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }
}

async fn read_all(client: &aws_sdk_dynamodb::Client) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut start = None;
    loop {
        let page = client.scan().table_name(TABLE).set_exclusive_start_key(start).send().await?;
        for item in page.items() {
            let json = item.iter().map(|(name, value)| Ok((name.clone(), to_json(value)?)));
            let json = Value::Object(json.collect::<Result<Map<_, _>>>()?);
            let key = |name: &str| item.get(name).and_then(|key| key.as_s().ok()).cloned().context(name.to_owned());
            rows.insert((key(PK)?, key(SK)?), json.to_string());
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(rows);
        }
    }
}

fn to_json(value: &AttributeValue) -> Result<Value> {
    Ok(match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(blob) => json!({"B": STANDARD.encode(blob)}),
        AttributeValue::Bool(is) => json!({"BOOL": is}),
        other => bail!("rows of Stockline hold no {other:?}"),
    })
}

async fn answer(State(rows): State<Arc<Rows>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = |key: &Value| {
        let text = |name: &str| key[name]["S"].as_str().unwrap_or_default().to_owned();
        rows.get(&(text(PK), text(SK))).map(String::as_str)
    };
    let (status, body) = match target.rsplit('.').next().unwrap_or_default() {
        "TransactWriteItems" => (StatusCode::OK, "{}".to_owned()),
        "BatchGetItem" => {
            let input: Value = serde_json::from_slice(&body).unwrap_or_default();
            let keys = input["RequestItems"][TABLE]["Keys"].as_array().map(Vec::as_slice).unwrap_or_default();
            let items: Vec<_> = keys.iter().filter_map(found).collect();
            let items = items.join(",");
            (StatusCode::OK, format!(r#"{{"Responses":{{"{TABLE}":[{items}]}},"UnprocessedKeys":{{}}}}"#))
        }
        "GetItem" => {
            let input: Value = serde_json::from_slice(&body).unwrap_or_default();
            let item = found(&input["Key"]).map(|item| format!(r#"{{"Item":{item}}}"#));
            (StatusCode::OK, item.unwrap_or_else(|| "{}".to_owned()))
        }
        other => (StatusCode::BAD_REQUEST, json!({"__type": "UnknownOperation", "message": other}).to_string()),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}
