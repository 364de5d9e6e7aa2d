//! Sends the tests' requests to the API, and puts messages directly into the queue.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Installation, POLL_EVERY};
use crate::process::{PATIENCE, with_id};
use crate::sdk::clients;
use stockline_deploy_checks::ministack::random_id;

impl Installation {
    /// Sends a request with a token and returns status and body, or an error if the connection failed.
    pub async fn send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.api)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null)))
    }

    /// Sends a command, which must be accepted, and returns the body of the 202.
    pub async fn accept(&self, token: &str, command: &Value) -> Value {
        let (status, answer) = self.send(token, "POST", "/v1/commands", Some(command)).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        answer
    }

    /// Sends a command and waits for its outcome.
    pub async fn settle(&self, token: &str, command: Value) -> Value {
        let accepted = self.accept(token, &with_id(command)).await;
        self.outcome(token, accepted["status_url"].as_str().unwrap()).await
    }

    /// Polls a status address until the outcome is there.
    pub async fn outcome(&self, token: &str, status_url: &str) -> Value {
        let path = status_url.strip_prefix(&self.api).unwrap_or(status_url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.send(token, "GET", path, None).await.unwrap();
            assert!(matches!(status, 200 | 503), "GET {path}: {status} {answer}");
            if status == 200 && answer["status"] != "queued" {
                return answer;
            }
            assert!(Instant::now() < deadline, "no outcome in time: {answer}");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Sends a GET as the Manager, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(&self.manager, "GET", path, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Puts a body into the command queue, in the group of an item.
    pub async fn queue(&self, item_id: &str, body: &str) {
        self.queue_at(self.stack.output("QueueUrl"), item_id, body).await;
    }

    /// Puts a body into this queue.
    pub async fn queue_at(&self, queue_url: &str, item_id: &str, body: &str) {
        let sqs = clients(&self.server).sqs;
        let message = sqs.send_message().queue_url(queue_url).message_group_id(item_id);
        message.message_deduplication_id(random_id().to_string()).message_body(body).send().await.unwrap();
    }

    /// Registers an item and receives `quantity` of it at `main`.
    pub async fn stock_up(&self, item_id: &str, quantity: &str, threshold: Option<&str>) {
        let register = json!({
            "type": "register_item", "item_id": item_id, "name": item_id,
            "low_stock_threshold": threshold, "unit_cost": "1.25",
        });
        let receive = json!({"type": "receive", "item_id": item_id, "location_id": "main", "quantity": quantity});
        for command in [register, receive] {
            let outcome = self.settle(&self.manager, command).await;
            assert_eq!(outcome["status"], "applied", "{outcome}");
        }
    }

    /// Returns the whole ledger of an item, oldest first.
    pub async fn ledger(&self, item_id: &str) -> Vec<Value> {
        let mut movements = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/items/{item_id}/movements?limit=1000{cursor}")).await;
            movements.extend(page["movements"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        movements.reverse();
        movements
    }
}

/// Parses a quantity of the API into thousandths.
pub fn decimal(quantity: &Value) -> i64 {
    let text = quantity.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<3}").parse().unwrap()
}
