//! A running home: the stores of a folder and the parts that work on them. If a part dies, the home is closed and opened
//! again, in the same process: the queue keeps its order, locks and deliveries in memory, so no part is replaced alone.
//!
//! ```text
//!            a part died                          pause
//!  running ──────────────► closing ──► closed ───────────► opening ──► running
//!     │                                  │  (a stand-in answers 503)       │ it failed: closed again
//!     │ signal                           └─ too many deaths: the process ends with the reason
//!     └──────► stopping in order
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use stockline_core::ports::Clock as _;
use stockline_ingress::IngressError;
use stockline_service::Severity;
use stockline_worker::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::parts::{Died, Parts};
use super::side_work::{self, SideWork};
use super::watched_mailer::WatchedMailer;
use super::{ALERT_LEASE, Listeners, Setup, ingress_config, worker_config};
use crate::folder::{Folder, entry};
use crate::issuer::keys::Keys;
use crate::mailer;
use crate::stores::Stores;

/// The thread that writes `queue.db`.
const QUEUE_WRITER: &str = "queue_writer";
/// The thread that writes `stock.db`.
const STOCK_WRITER: &str = "stock_writer";
/// The alert feed and the daily notices.
const MAIL_FEED: &str = "mail_feed";
/// The worker's receiver.
const WORKER: &str = "worker";
/// The API with its packer.
const API: &str = "api";

/// The parts of a home, in the order of their start.
pub(crate) const PARTS: [&str; 5] = [QUEUE_WRITER, STOCK_WRITER, MAIL_FEED, WORKER, API];

/// How long parts may take to stop after one of them died.
const ABANDON: Duration = Duration::from_secs(2);
/// How long the files may take to close.
const CLOSE: Duration = Duration::from_secs(10);

/// The pause before the home is opened again, after the first death; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// More deaths than this within [`DEATHS_WINDOW`] end the process: opening the home again does not help.
const DEATHS_MAX: usize = 8;
const DEATHS_WINDOW: Duration = Duration::from_secs(600);

/// The stores, keys and mailer of a folder, opened and not yet in use.
#[derive(Debug)]
pub(crate) struct OpenStores {
    pub(crate) stores: Stores,
    keys: Keys,
    mailer: WatchedMailer,
    pub(crate) mail_description: String,
}

impl OpenStores {
    /// Locks the folder and opens or creates its files.
    pub(crate) async fn open(setup: &Setup) -> anyhow::Result<Self> {
        let (stores, keys) = {
            let folder = setup.folder.clone();
            tokio::task::spawn_blocking(move || open(&folder)).await??
        };
        let (mailer, mail_description) = mailer::mailer(&setup.args.mail, &setup.folder, stores.clock.clone())?;
        let watching = (Arc::clone(&setup.faults), Arc::clone(&setup.mails));
        let mailer = WatchedMailer::new(mailer, watching, stores.clock.clone());
        Ok(Self { stores, keys, mailer, mail_description })
    }
}

/// Opens the stores and the keys, and notes that the folder is served here.
fn open(folder: &Folder) -> anyhow::Result<(Stores, Keys)> {
    let mut stores = Stores::open(folder)?;
    let now = stores.clock.now();
    if let Some(former) = entry::settle(folder, &mut stores.entered.manifest, now)? {
        tracing::warn!(
            "this data folder was last served as {} (since {}), on another machine or as another directory: if it was \
             copied, make sure that the other copy is never served again, or tills that reach both will be told different \
             stock; stop one of them (docs/shop.md, \"Two copies\")",
            former.path,
            former.since
        );
    }
    let keys = Keys::open(folder)?;
    Ok((stores, keys))
}

/// The stores and the parts that work on them.
#[derive(Debug)]
pub(crate) struct Home {
    // Dropped before the stores, which they use.
    parts: Parts,
    side: SideWork,
    pub(super) stores: Stores,
}

impl Home {
    /// Starts the parts.
    pub(crate) fn start(setup: &Setup, listeners: &Listeners, open: OpenStores) -> anyhow::Result<Self> {
        let OpenStores { stores, keys, mailer, mail_description } = open;
        let mut parts = Parts::default();
        let health = Arc::new(Health::default());
        watch_writers(&mut parts, &stores);
        start_mail_feed(&mut parts, setup, &stores, mailer);
        parts.start(WORKER, |shutdown| {
            let config = worker_config(&setup.args);
            let adapters = stockline_worker::Adapters {
                queue: stores.queue.clone(),
                store: stores.store.clone(),
                alerts: stores.alerts.clone(),
                clock: stores.clock.clone(),
            };
            let health = Arc::clone(&health);
            async move {
                stockline_worker::run_with_health(config, adapters, health, shutdown).await;
                Ok(())
            }
        });
        let receipt_keys = keys.receipt_keys(&stores.entered.manifest.breaks)?;
        let config = ingress_config(setup, &keys.issuer, receipt_keys, stores.clock.clone())?;
        let listener = listeners.api().context("can't listen")?;
        parts.start(API, |shutdown| {
            let adapters = stockline_ingress::Adapters {
                queue: stores.queue.clone(),
                queries: stores.store.clone(),
                clients: None,
                clock: stores.clock.clone(),
            };
            let faults = Arc::clone(&setup.faults);
            async move { Ok(stockline_ingress::run_watched(config, adapters, faults, listener, shutdown).await?) }
        });
        let side = side_work::start(setup, listeners, &stores, health, mail_description);
        Ok(Self { parts, side, stores })
    }

    /// Stops the parts in order.
    async fn stop(self, setup: &Setup) -> anyhow::Result<()> {
        tracing::info!("stopping");
        let Self { parts, side, stores } = self;
        let ended = parts.stop().await;
        side.end().await;
        side_work::save_senders(&setup.senders, stores.clock.now()).await;
        drop(stores);
        ended
    }

    /// Closes what a death has left, so that it can be opened again.
    async fn abandon(self) {
        let Self { parts, side, stores } = self;
        side.abandon().await;
        parts.abandon(ABANDON).await;
        // The last owner waits for the writers' threads. If one hangs, the folder stays locked, and opening it fails.
        let closing = tokio::task::spawn_blocking(move || drop(stores));
        if tokio::time::timeout(CLOSE, closing).await.is_err() {
            tracing::error!("the files of the data folder could not be closed in time");
        }
    }
}

/// A writer that has died makes its file refuse everything, for good.
fn watch_writers(parts: &mut Parts, stores: &Stores) {
    let (queue_writer, stock_writer) = (stores.queue.writer_stopped(), stores.store.writer_stopped());
    parts.start(QUEUE_WRITER, |shutdown| watch_writer(queue_writer, shutdown));
    parts.start(STOCK_WRITER, |shutdown| watch_writer(stock_writer, shutdown));
}

async fn watch_writer(stopped: impl Future<Output = String> + Send, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        why = stopped => Err(anyhow!("it panicked: {why}")),
        () = shutdown.cancelled() => Ok(()),
    }
}

fn start_mail_feed(parts: &mut Parts, setup: &Setup, stores: &Stores, mailer: WatchedMailer) {
    parts.start(MAIL_FEED, |shutdown| {
        let config = stockline_alerter::Config {
            recipients: setup.args.mail.alert_emails.clone(),
            lease: ALERT_LEASE,
            public_url: Some(setup.public.clone()),
        };
        let adapters = stockline_alerter::Adapters {
            book: stores.store.clone(),
            locations: stores.store.clone(),
            queries: stores.store.clone(),
            mailer: Arc::new(mailer),
            clock: stores.clock.clone(),
        };
        let alerts = stores.alerts.clone();
        async move {
            stockline_alerter::run(config, adapters, alerts, shutdown).await;
            Ok(())
        }
    });
}

/// Keeps a home running until the signal, however often one of its parts dies.
///
/// # Errors
/// A part did not stop in order, can't run with this configuration, or died too often.
pub(crate) async fn keep(
    setup: &Setup,
    listeners: Listeners,
    mut home: Home,
    mut signal: impl Future<Output = io::Result<()>> + Unpin,
) -> anyhow::Result<()> {
    let mut deaths = Deaths::default();
    loop {
        let died = tokio::select! {
            signal = &mut signal => {
                // From here on a client that connects is refused at once.
                drop(listeners);
                signal.context("can't wait for signals")?;
                return home.stop(setup).await;
            }
            died = home.parts.first_death() => died,
        };
        setup.faults.found(died.part, Severity::Down, "it stopped by itself and is started again");
        tracing::error!(part = died.part, "a part of the process has stopped: {:#}", died.error);
        home.abandon().await;
        let reopened = tokio::select! {
            signal = &mut signal => {
                signal.context("can't wait for signals")?;
                return Ok(());
            }
            reopened = Box::pin(reopen(setup, &listeners, &mut deaths, died)) => reopened,
        };
        home = reopened?;
    }
}

/// Opens the home again, as soon as that succeeds. Meanwhile a stand-in answers 503 and says why. Safe to drop.
async fn reopen(setup: &Setup, listeners: &Listeners, deaths: &mut Deaths, died: Died) -> anyhow::Result<Home> {
    let part = died.part;
    let is_config = |error: &anyhow::Error| matches!(error.downcast_ref(), Some(IngressError::Config(_)));
    if is_config(&died.error) {
        return Err(died.error.context(format!("{part} stopped")));
    }
    let mut failure = died.error;
    loop {
        let Some(pause) = deaths.next_pause(Instant::now()) else {
            let minutes = DEATHS_WINDOW.as_secs() / 60;
            let text = format!("{part} stopped, for the {}th time in {minutes} minutes", DEATHS_MAX + 1);
            return Err(failure.context(text));
        };
        tracing::warn!(part, pause_s = pause.as_secs(), "the data folder is opened again after a pause");
        let opened = {
            let shutdown = CancellationToken::new();
            let (tls, faults) = (setup.certificates.clone(), Arc::clone(&setup.faults));
            let stand_in = stockline_ingress::stand_in(listeners.api()?, tls, faults, shutdown.clone());
            let opening = async {
                tokio::time::sleep(pause).await;
                let opened = OpenStores::open(setup).await;
                shutdown.cancel();
                opened
            };
            tokio::join!(opening, stand_in).0
        };
        match opened.and_then(|open| Home::start(setup, listeners, open)) {
            Ok(home) => {
                for part in stockline_ingress::PARTS.into_iter().chain(PARTS) {
                    setup.faults.over(part);
                }
                return Ok(home);
            }
            Err(error) => {
                tracing::error!("the data folder can't be opened again: {error:#}");
                setup.faults.found(part, Severity::Down, "it stopped, and the data folder can't be opened again yet");
                failure = error;
            }
        }
    }
}

/// The latest deaths. They decide how long the next pause is, and when to give up.
#[derive(Debug, Default)]
struct Deaths(VecDeque<Instant>);

impl Deaths {
    /// Counts a death and returns the pause after it; `None` if there were too many lately.
    fn next_pause(&mut self, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) > DEATHS_WINDOW) {
            self.0.pop_front();
        }
        if self.0.len() >= DEATHS_MAX {
            return None;
        }
        let doubled = PAUSE_FIRST.saturating_mul(1 << self.0.len());
        self.0.push_back(now);
        Some(doubled.min(PAUSE_MOST))
    }
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
