//! Bad weather between programs and AWS, from a seed: calls are delayed, lost on the way, carried out without an answer,
//! and carried out twice.

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

use crate::iam::{client, forward, signed_by};

/// Of a hundred calls.
const DELAYED: u32 = 10;
const LOST: u32 = 4;
const UNANSWERED: u32 = 4;
const TWICE: u32 = 5;
/// The longest delay; shorter than any deadline of a call.
const DELAY_MAX_MS: u64 = 400;
/// Whose calls are never lost: what it could not do comes back from its queue after minutes, longer than a test waits.
const NOT_LOST_OF: &str = "alerter";

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It comes later.
    Delayed,
    /// It never arrives, and its connection closes.
    Lost,
    /// It is carried out, and its connection closes without the answer.
    Unanswered,
    /// It is carried out two times; the answer is the second one's.
    Twice,
}

/// A way to AWS in weather that can turn.
#[derive(Debug)]
pub struct Weather {
    /// `http://127.0.0.1:port`, of every service.
    pub url: String,
    sky: Arc<Sky>,
}

#[derive(Debug)]
struct Sky {
    server: String,
    http: reqwest::Client,
    rough: AtomicBool,
    dice: Mutex<Rng>,
    seen: Mutex<BTreeMap<(Trouble, String), usize>>,
}

impl Weather {
    /// Before the server at this address. It begins calm.
    pub async fn before(server: &str, seed: u64) -> Self {
        let sky = Arc::new(Sky {
            server: server.to_owned(),
            http: client(),
            rough: AtomicBool::new(false),
            dice: Mutex::new(Rng::with_seed(seed)),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&sky);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sky = Arc::clone(&shared);
                let service = service_fn(move |request| pass(Arc::clone(&sky), request));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // That connections end early is the point.
                tokio::spawn(async move { _ = served.await });
            }
        });
        Self { url, sky }
    }

    /// From now on calls meet trouble, or no more.
    pub fn turn(&self, rough: bool) {
        self.sky.rough.store(rough, Ordering::SeqCst);
    }

    /// How many calls to a service met this; all services where it is `None`.
    pub fn seen(&self, trouble: Trouble, service: Option<&str>) -> usize {
        let seen = self.sky.seen.lock().unwrap();
        let meant = |at: &str| service.is_none_or(|service| service == at);
        seen.iter().filter(|((of, at), _)| *of == trouble && meant(at)).map(|(_, count)| count).sum()
    }
}

impl Sky {
    fn trouble(&self, program: &str, service: &str) -> Option<(Trouble, Duration)> {
        if !self.rough.load(Ordering::SeqCst) {
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
async fn pass(sky: Arc<Sky>, request: Request<Incoming>) -> io::Result<Response> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let signed = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (program, service) = signed_by(signed);
    let closed = || Err(io::Error::other("the weather"));
    match sky.trouble(program, service) {
        None => Ok(sky.forward(&head, body).await),
        Some((Trouble::Delayed, delay)) => {
            tokio::time::sleep(delay).await;
            Ok(sky.forward(&head, body).await)
        }
        Some((Trouble::Lost, _)) => closed(),
        Some((Trouble::Unanswered, _)) => {
            sky.forward(&head, body).await;
            closed()
        }
        Some((Trouble::Twice, _)) => {
            sky.forward(&head, body.clone()).await;
            Ok(sky.forward(&head, body).await)
        }
    }
}
