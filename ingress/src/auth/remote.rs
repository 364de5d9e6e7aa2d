//! A JWK set at an address. It is fetched in the background, one fetch at a time, and seldom.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest::header::ACCEPT;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use stockline_service::Retry;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::kept::{KEYS_KEPT_S, KeptKeys, Known};
use super::keyset::{KEY_SET_BYTES, KeySet};
use crate::error::IngressError;

/// Time to connect to the issuer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a whole fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may wait for a fetch.
const WAIT: Duration = Duration::from_secs(6);
/// Requests that wait for a fetch at once. Further ones must try again, so that they can't occupy the whole server.
const WAITING: usize = 64;
/// The shortest and the longest pause after a failed fetch.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How often keys are fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The pause between two fetches in the background.
    pub(super) refresh: Duration,
    /// The shortest time between two fetches that unknown keys cause.
    pub(super) unknown_key: Duration,
}

impl Default for Pace {
    /// Returns 15 minutes, and the 10 s that Cognito's documentation recommends.
    fn default() -> Self {
        Self { refresh: Duration::from_mins(15), unknown_key: Duration::from_secs(10) }
    }
}

/// The result of asking for an unknown key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// When the newest successful fetch began.
    pub(super) fetched_at: Option<Timestamp>,
    /// When another try can succeed, in seconds.
    pub(super) retry_after_s: u64,
}

/// The address of the issuer's keys, and the state of the fetches from it.
#[derive(Debug)]
pub(super) struct Remote {
    url: reqwest::Url,
    client: reqwest::Client,
    pace: Pace,
    clock: Arc<dyn Clock>,
    kept: Option<KeptKeys>,
    state: Mutex<State>,
    wanted: Notify,
    finished: watch::Sender<()>,
    waiting: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    in_flight: bool,
    wanted: bool,
    began: Option<Instant>,
    fetched_at: Option<Timestamp>,
    /// Whether the keys in use were fetched by another process.
    recalled: bool,
}

impl Remote {
    /// # Errors
    /// The address is not http or https, or the HTTP client can't be made.
    pub(super) fn new(
        url: &str,
        kept: Option<KeptKeys>,
        pace: Pace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngressError> {
        let failed = |why: &dyn std::fmt::Display| {
            IngressError::Config(format!(
                "the address of the issuer's keys can't be used: {why}; it must be like https://issuer.example/.well-known/jwks.json"
            ))
        };
        let url = reqwest::Url::parse(url).map_err(|error| failed(&error))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(failed(&"it is not http or https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(failed(&"it holds a user or password"));
        }
        // A proxy would come from the environment, which only `service::Env` may read. A redirect could leave https or the
        // issuer.
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(url.scheme() == "https")
            .no_proxy()
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self {
            url,
            client,
            pace,
            clock,
            kept,
            state: Mutex::default(),
            wanted: Notify::new(),
            finished: watch::Sender::new(()),
            waiting: Semaphore::new(WAITING),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The values stay consistent, even if a thread panics elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a fetch because a key is unknown, and waits for it if one is running or may begin now.
    pub(super) async fn ask(&self) -> Asked {
        if let Some(mut finished) = self.want()
            && let Ok(_place) = self.waiting.try_acquire()
        {
            // If the fetch takes too long or the task has ended, the state below shows it.
            let _ = tokio::time::timeout(WAIT, finished.changed()).await;
        }
        let state = self.state();
        let cooling = state.began.map_or(Duration::ZERO, |began| self.pace.unknown_key.saturating_sub(began.elapsed()));
        Asked { fetched_at: state.fetched_at, retry_after_s: cooling.as_secs() + 1 }
    }

    /// Asks for a fetch as soon as one is allowed; returns `Some` if the caller should wait for it.
    fn want(&self) -> Option<watch::Receiver<()>> {
        let mut state = self.state();
        if !state.in_flight {
            if !state.wanted {
                state.wanted = true;
                self.wanted.notify_one();
            }
            if state.began.is_some_and(|began| began.elapsed() < self.pace.unknown_key) {
                return None;
            }
        }
        Some(self.finished.subscribe())
    }

    /// Fetches at the configured pace for ever, and hands each new set to `found`.
    pub(super) async fn keep_fetching(self: Arc<Self>, found: impl Fn(KeySet)) {
        let mut retry = Retry::new(RETRY.0, RETRY.1);
        loop {
            let pause = match self.fetch_once().await {
                Ok((set, text)) => {
                    found(set);
                    self.keep(&text).await;
                    retry.reset();
                    self.pace.refresh
                }
                Err(why) => {
                    self.recall(&found).await;
                    let pause = retry.next_pause();
                    tracing::warn!(
                        url = %self.url, ?pause,
                        "the keys that verify tokens could not be fetched ({why}); those known stay in use"
                    );
                    pause
                }
            };
            // By now the waiting requests find the new keys.
            self.finished.send_replace(());
            self.until_due(pause).await;
        }
    }

    /// Keeps the keys for the next start. By now the requests find them.
    async fn keep(&self, text: &str) {
        let fetched_at = self.state().fetched_at;
        self.finished.send_replace(());
        if let (Some(kept), Some(fetched_at)) = (&self.kept, fetched_at) {
            kept.keep(self.url.as_str(), &Known { keys: text.to_owned(), fetched_at }).await;
        }
    }

    /// Takes the kept keys if they are newer than those in use. Keys of others are dropped once they are too old.
    async fn recall(&self, found: &impl Fn(KeySet)) {
        let Some(kept) = &self.kept else { return };
        let now = self.clock.now();
        let recalled = kept.recall(self.url.as_str(), now).await;
        let (known_at, is_ours) = {
            let state = self.state();
            (state.fetched_at, !state.recalled)
        };
        match recalled {
            Ok((set, fetched_at)) if known_at.is_none_or(|known_at| known_at < fetched_at) => {
                found(set);
                tracing::warn!(%fetched_at, "tokens are verified with the keys that another process fetched");
                let mut state = self.state();
                (state.fetched_at, state.recalled) = (Some(fetched_at), true);
            }
            Ok(_) => {}
            Err(why) => {
                tracing::warn!("the kept keys can't be used: {why}");
                let is_old = known_at.is_some_and(|known_at| now.millis_since(known_at) > KEYS_KEPT_S * 1_000);
                if is_old && !is_ours {
                    found(KeySet::default());
                    let mut state = self.state();
                    (state.fetched_at, state.recalled) = (None, false);
                }
            }
        }
    }

    /// Waits for the pause, or for less if a key is asked for, but at least for [`Pace::unknown_key`] since the last fetch.
    async fn until_due(&self, pause: Duration) {
        let due = Instant::now() + pause;
        while !self.state().wanted {
            tokio::select! {
                () = tokio::time::sleep_until(due) => return,
                () = self.wanted.notified() => {}
            }
        }
        let cooled = self.state().began.map_or(due, |began| began + self.pace.unknown_key);
        tokio::time::sleep_until(cooled).await;
    }

    async fn fetch_once(&self) -> Result<(KeySet, String), String> {
        let began_at = self.clock.now();
        self.begin();
        // A panic is a failed fetch: without this task, new keys would never be found.
        let fetched = AssertUnwindSafe(self.fetch()).catch_unwind().await;
        let fetched = fetched.unwrap_or_else(|_| Err("the answer made its reader panic".to_owned()));
        let mut state = self.state();
        state.in_flight = false;
        if fetched.is_ok() {
            (state.fetched_at, state.recalled) = (Some(began_at), false);
        }
        fetched
    }

    fn begin(&self) {
        let mut state = self.state();
        state.in_flight = true;
        state.wanted = false;
        state.began = Some(Instant::now());
    }

    async fn fetch(&self) -> Result<(KeySet, String), String> {
        let request = self.client.get(self.url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(describe)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the issuer answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if body.len() + chunk.len() > KEY_SET_BYTES {
                return Err(format!("the answer is larger than {KEY_SET_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let set = KeySet::parse(&body).map_err(|why| format!("the answer {why}"))?;
        Ok((set, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Returns the text of an error with its causes, which reqwest does not write.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::clock;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_a_fetch_is_due_once_in_ten_seconds() {
        let remote = Remote::new("http://127.0.0.1:1/", None, Pace::default(), clock()).unwrap();
        let start = Instant::now();
        for round in 0..3 {
            remote.begin();
            remote.state().in_flight = false;
            for _ in 0..1_000 {
                assert!(remote.want().is_none(), "no request waits out the pause");
            }
            assert_eq!(start.elapsed(), Duration::from_secs(10) * round);
            remote.until_due(Pace::default().refresh).await;
        }
        remote.begin();
        assert!(remote.want().is_some(), "requests wait for a running fetch");
        remote.state().in_flight = false;
        remote.until_due(Pace::default().refresh).await;
        assert_eq!(
            start.elapsed(),
            Duration::from_secs(30) + Pace::default().refresh,
            "without a request, the next fetch is the refresh"
        );
    }
}
