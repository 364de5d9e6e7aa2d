//! A flaky network between programs and AWS, from a seed. It delays calls, loses them on the way, loses their answers, and
//! delivers them twice.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::Response;
use fastrand::Rng;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::aws::{client, forward, signed_by};

/// Percent of calls.
const DELAYED: u32 = 10;
const LOST: u32 = 4;
const UNANSWERED: u32 = 4;
const TWICE: u32 = 5;
/// The longest delay; shorter than any deadline of a call.
const DELAY_MAX_MS: u64 = 400;
/// Calls of this program are never lost. Its messages would return only after minutes, longer than a test waits.
const NOT_LOST_OF: &str = "alerter";

/// The fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It arrives later.
    Delayed,
    /// It never arrives, and its connection closes.
    Lost,
    /// It is carried out, and its connection closes without the answer.
    Unanswered,
    /// It is carried out twice, and the second answer is returned.
    Twice,
}

/// A proxy before AWS whose network can become flaky.
#[derive(Debug)]
pub struct FlakyNetwork {
    /// `http://127.0.0.1:port`, of every service.
    pub url: String,
    link: Arc<Link>,
}

#[derive(Debug)]
struct Link {
    server: String,
    http: reqwest::Client,
    flaky: AtomicBool,
    dice: Mutex<Rng>,
    seen: Mutex<BTreeMap<(Trouble, String), usize>>,
}

impl FlakyNetwork {
    /// Starts one before the server at this address. It begins calm.
    pub async fn before(server: &str, seed: u64) -> Self {
        let link = Arc::new(Link {
            server: server.to_owned(),
            http: client(),
            flaky: AtomicBool::new(false),
            dice: Mutex::new(Rng::with_seed(seed)),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&link);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let link = Arc::clone(&shared);
                let service = service_fn(move |request| pass(Arc::clone(&link), request));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // The proxy ends connections early on purpose.
                tokio::spawn(async move { _ = served.await });
            }
        });
        Self { url, link }
    }

    /// Turns the faults on or off.
    pub fn set_flaky(&self, flaky: bool) {
        self.link.flaky.store(flaky, Ordering::SeqCst);
    }

    /// Returns how many calls to a service had this fault. `None` means all services.
    pub fn seen(&self, trouble: Trouble, service: Option<&str>) -> usize {
        let seen = self.link.seen.lock().unwrap();
        let meant = |at: &str| service.is_none_or(|service| service == at);
        seen.iter().filter(|((of, at), _)| *of == trouble && meant(at)).map(|(_, count)| count).sum()
    }
}

impl Link {
    fn trouble(&self, program: &str, service: &str) -> Option<(Trouble, Duration)> {
        if !self.flaky.load(Ordering::SeqCst) {
            return None;
        }
        let mut dice = self.dice.lock().unwrap();
        let may_be_lost = program != NOT_LOST_OF;
        let trouble = match dice.u32(..100) {
            at if at < DELAYED => Trouble::Delayed,
            at if at < DELAYED + TWICE => Trouble::Twice,
            at if may_be_lost && at < DELAYED + TWICE + LOST => Trouble::Lost,
            at if may_be_lost && at < DELAYED + TWICE + LOST + UNANSWERED => Trouble::Unanswered,
            _ => return None,
        };
        let delay = Duration::from_millis(dice.u64(0..DELAY_MAX_MS));
        *self.seen.lock().unwrap().entry((trouble, service.to_owned())).or_default() += 1;
        Some((trouble, delay))
    }

    async fn forward(&self, head: &Parts, body: Bytes) -> Response {
        forward(&self.http, &self.server, head.method.clone(), &head.uri, head.headers.clone(), body).await
    }
}

/// An error closes the connection without an answer.
async fn pass(link: Arc<Link>, request: Request<Incoming>) -> io::Result<Response> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let signed = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (program, service) = signed_by(signed);
    let closed = || Err(io::Error::other("the network lost it"));
    match link.trouble(program, service) {
        None => Ok(link.forward(&head, body).await),
        Some((Trouble::Delayed, delay)) => {
            tokio::time::sleep(delay).await;
            Ok(link.forward(&head, body).await)
        }
        Some((Trouble::Lost, _)) => closed(),
        Some((Trouble::Unanswered, _)) => {
            link.forward(&head, body).await;
            closed()
        }
        Some((Trouble::Twice, _)) => {
            link.forward(&head, body.clone()).await;
            Ok(link.forward(&head, body).await)
        }
    }
}
