//! Ends each part of a running home in turn, as a defect would. The home must sell on, and say meanwhile what is wrong.

use clap::Parser as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use stockline_ingress::StaffMay;
use stockline_service::Faults;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::super::listen;
use super::*;
use crate::args::{Cli, Command, Role};
use crate::folder::Folder;
use crate::issuer::tokens::{self, TokenRequest};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home in this process, with what a test needs to end its parts.
struct Running {
    url: String,
    token: String,
    faults: Arc<Faults>,
    parts: Vec<(&'static str, AbortHandle)>,
    queue: std::sync::Weak<stockline_sqlite::SqliteQueue>,
    store: std::sync::Weak<stockline_sqlite::SqliteStore>,
    stop: oneshot::Sender<()>,
    kept: tokio::task::JoinHandle<anyhow::Result<()>>,
}

fn setup(data: &std::path::Path) -> Setup {
    let data = data.to_str().unwrap();
    let cli = Cli::parse_from(["stockline", "serve", "--data", data, "--listen", "127.0.0.1:0"]);
    let Command::Serve(args) = cli.command else { panic!("serve was asked for") };
    let lately = Arc::default();
    Setup {
        senders: Arc::new(super::super::SenderLog::of(&Folder::at(&args.data.data), Arc::clone(&lately))),
        folder: Folder::at(&args.data.data),
        staff_may: StaffMay::default(),
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        faults: Arc::new(Faults::default()),
        public: "http://127.0.0.1".to_owned(),
        certificates: None,
        changed: stockline_ingress::auth::FilesChanged::default(),
        lately,
        mails: Arc::new(super::super::mail_log::MailLog::open(&Folder::at(&args.data.data))),
        args: *args,
    }
}

impl Running {
    async fn start(data: &std::path::Path) -> Self {
        let setup = setup(data);
        let open = OpenStores::open(&setup).await.unwrap();
        let request = TokenRequest {
            role: Role::Manager,
            write_only: false,
            subject: "test".into(),
            locations: vec![],
            ttl_s: 3_600,
        };
        let token = tokens::issue(&open.keys, &request, open.stores.clock.now()).unwrap().jwt;
        let any = "127.0.0.1:0".parse().unwrap();
        let (api, metrics) = (listen(any, "").unwrap(), listen(any, "").unwrap());
        let listeners = Listeners {
            address: api.local_addr().unwrap(),
            metrics_address: metrics.local_addr().unwrap(),
            api: api.into_std().unwrap(),
            metrics: Arc::new(metrics.into_std().unwrap()),
        };
        let url = format!("http://{}", listeners.address);
        let home = Home::start(&setup, &listeners, open).unwrap();
        let (queue, store) = (Arc::downgrade(&home.stores.queue), Arc::downgrade(&home.stores.store));
        let (parts, faults) = (home.parts.abort_handles(), Arc::clone(&setup.faults));
        let (stop, stopped) = oneshot::channel();
        let signal = Box::pin(async move {
            let _ = stopped.await;
            Ok(())
        });
        let kept = tokio::spawn(async move { keep(&setup, listeners, home, signal).await });
        Self { url, token, faults, parts, queue, store, stop, kept }
    }

    async fn end(&self, part: &str) {
        match part {
            QUEUE_WRITER => self.queue.upgrade().unwrap().end_writer().await,
            STOCK_WRITER => self.store.upgrade().unwrap().end_writer().await,
            _ => self.parts.iter().find(|(name, _)| *name == part).unwrap().1.abort(),
        }
    }

    /// Sends a command until it is settled, as a till does.
    #[expect(clippy::disallowed_methods, reason = "a client makes its own ids")]
    async fn settle(&self, command: Value) -> Value {
        let mut command = command;
        command["command_id"] = json!(uuid::Uuid::now_v7());
        let http = reqwest::Client::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = http.post(format!("{}/v1/commands", self.url)).bearer_auth(&self.token);
            if let Ok(answer) = request.header("prefer", "wait=5").json(&command).send().await
                && answer.status() == 200
                && let Ok(outcome) = answer.json().await
            {
                return outcome;
            }
            assert!(Instant::now() < deadline, "{command} was not settled: {}", self.faults.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks `/readyz` until it says what `is_it` waits for.
    async fn readyz(&self, is_it: impl Fn(u16, &str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = reqwest::get(format!("{}/readyz", self.url)).await {
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap_or_default();
                if is_it(status, &text) {
                    return text;
                }
            }
            assert!(Instant::now() < deadline, "readyz never said it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.kept.await.unwrap().unwrap();
    }
}

async fn sells_on_after_the_end_of(part: &str) {
    let data = tempfile::tempdir().unwrap();
    let home = Running::start(data.path()).await;
    let item = json!({"type": "register_item", "item_id": "cola", "name": "Cola"});
    assert_eq!(home.settle(item).await["status"], "applied");
    home.readyz(|status, text| status == 200 && text == "{\"status\":\"ok\"}").await;
    home.end(part).await;
    let said = home.readyz(|status, _| status == 503).await;
    assert!(said.contains(&format!("{part}: it stopped by itself")), "{part}: {said}");
    let sale = json!({"type": "sell", "item_id": "cola", "quantity": "1"});
    assert_eq!(home.settle(sale).await["status"], "applied", "{part}");
    home.readyz(|status, text| status == 200 && text == "{\"status\":\"ok\"}").await;
    let stores = home.store.upgrade();
    assert!(stores.is_none(), "{part}: the old stores are closed");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_part_dies_the_home_sells_on_and_readyz_names_the_part_meanwhile() {
    // The folders are independent, and most of the time is the pause.
    futures_util::future::join_all(PARTS.map(sells_on_after_the_end_of)).await;
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_too_many_deaths_end_the_process() {
    let (mut deaths, start) = (Deaths::default(), Instant::now());
    let pauses: Vec<_> = (0..DEATHS_MAX).map(|_| deaths.next_pause(start).unwrap().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(deaths.next_pause(start), None);
    let later = start + DEATHS_WINDOW + Duration::from_secs(1);
    assert_eq!(deaths.next_pause(later), Some(PAUSE_FIRST), "old deaths are forgotten");
}
