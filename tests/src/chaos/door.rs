use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ledger::Reckoned;
use super::memory::Memory;
use crate::process::PATIENCE;

/// The pause between two polls.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The most commands of one status request.
const ASKED_MAX: usize = 500;

/// The lease of the standalone server's claim on an alert. If a server is paused during a mail, the mail times out when
/// the server continues. The alert is then mailed after its claim ends.
const CLAIM_LEASE: Duration = Duration::from_secs(300);

/// A client of the API for tills and managers. Its address stays the same when the process behind it changes.
#[derive(Debug, Clone)]
pub struct Door {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Door {
    /// Returns a client of the API at this address, with a Manager's token.
    pub fn new(url: &str, token: &str) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { url: url.to_owned(), token: token.to_owned(), http }
    }

    /// Sends a request and returns status and body, or an error if no answer came.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::Result<(u16, Value)> {
        Self::answer(self.request(method, path, body)).await
    }

    /// Submits a command and waits shortly for the outcome.
    pub(super) async fn send_and_wait(&self, path: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
        Self::answer(self.request("POST", path, Some(body)).header("prefer", "wait=2")).await
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Value)> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Polls every accepted command until all of them have an outcome. The memory notes a fault if the API does not
    /// know a command, if a command was set aside, or if it does not settle in time.
    pub async fn settle(&self, memory: &Memory) {
        let deadline = Instant::now() + PATIENCE;
        let mut open = memory.unsettled();
        while !open.is_empty() {
            self.ask(memory, &open).await;
            open.retain(|asked| memory.is_open(asked["command_id"].as_str().unwrap_or_default()));
            if Instant::now() > deadline {
                memory.fault(format!("P1: {} accepted commands have no outcome, such as {}", open.len(), open[0]));
                return;
            }
            if !open.is_empty() {
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
    }

    /// Polls every accepted command once more. Each must have the same outcome as before.
    pub async fn ask_again(&self, memory: &Memory) {
        self.ask(memory, &memory.all()).await;
    }

    async fn ask(&self, memory: &Memory, commands: &[Value]) {
        for asked in commands.chunks(ASKED_MAX) {
            // If a request fails, the next poll repeats it, until the deadline.
            if let Ok((200, answer)) = self.send("POST", "/v1/commands/status", Some(&json!({"commands": asked}))).await
            {
                answer["results"].as_array().into_iter().flatten().for_each(|line| memory.note(line));
            }
        }
    }

    /// Compares the levels and alerts of the API with the computed ones. Every alert must be mailed.
    pub async fn compare(&self, reckoned: &Reckoned) -> Vec<String> {
        let mut faults = Vec::new();
        for (item_id, levels) in reckoned.by_item() {
            let shown = self.get(&format!("/v1/items/{item_id}")).await;
            for shown in shown["levels"].as_array().into_iter().flatten() {
                let place = shown["location_id"].as_str().unwrap_or_default();
                let expected = levels.get(place).copied().unwrap_or_default();
                let found = (crate::aws::decimal(&shown["on_hand"]), shown["seq"].as_u64().unwrap_or_default());
                if found != expected {
                    faults
                        .push(format!("P4: {item_id} at {place} has (on_hand, seq) {found:?}, reckoned {expected:?}"));
                }
            }
        }
        let deadline = Instant::now() + CLAIM_LEASE + PATIENCE;
        loop {
            let missing = reckoned.missing_alerts(&self.alerts().await);
            if missing.is_empty() {
                return faults;
            }
            if Instant::now() > deadline {
                faults.extend(missing);
                return faults;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Returns the whole alert history.
    async fn alerts(&self) -> Vec<Value> {
        let (mut alerts, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/alerts?limit=1000{cursor}")).await;
            alerts.extend(page["alerts"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return alerts,
            }
        }
    }
}
