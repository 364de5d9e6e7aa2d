//! A client of the API: of the data folder's server, or of any server by its address.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use stockline_core::ports::Clock as _;
use stockline_service::{Retry, SystemClock};
use tokio::time::Instant;

use crate::args::{ClientArgs, DEFAULT_LISTEN};
use crate::exit::{Unavailable, Usage};
use crate::folder::Folder;
use crate::issuer::keys::Keys;
use crate::issuer::tokens::{self, Token};
use crate::login::{NoToken, Session};
use crate::problem::Problem;
use crate::{files, http};

pub(crate) mod lists;
pub(crate) mod outcome;

const JSON: &str = "application/json";
/// The longest time of an export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 3;
/// The first and the longest pause between attempts.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(2);
/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(30);
/// The command line's own token is renewed when it expires sooner than this.
const RENEW_BEFORE_MS: i64 = 60_000;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status, 2xx.
    pub(crate) status: StatusCode,
    /// The `Location` header.
    pub(crate) location: Option<String>,
    /// The body; `null` if there is none.
    pub(crate) body: Value,
}

/// As [`Answer`], with the body not yet parsed.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    status: StatusCode,
    location: Option<String>,
    /// The `Date` header.
    pub(crate) date: Option<String>,
    /// The body.
    pub(crate) bytes: bytes::Bytes,
}

/// A request, which may be sent several times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(Cow<'static, str>, String)>,
    accept: Option<&'static str>,
    body: Option<bytes::Bytes>,
    body_is: &'static str,
    wait_s: Option<u64>,
}

impl Request {
    /// Creates a read.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            accept: None,
            body: None,
            body_is: JSON,
            wait_s: None,
        }
    }

    /// Creates a submission. Every posted command carries its id, so that a retry is safe.
    pub(crate) fn post(path: impl Into<String>, body: impl Into<bytes::Bytes>) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(path) }
    }

    /// Creates a submission of a file.
    pub(crate) fn file(path: impl Into<String>, body: impl Into<bytes::Bytes>) -> Self {
        Self { body_is: "application/octet-stream", ..Self::post(path, body) }
    }

    /// Creates a replacement.
    pub(crate) fn put(path: impl Into<String>, body: impl Into<bytes::Bytes>) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body) }
    }

    /// Adds a query parameter if it is set.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (Cow::Borrowed(name), value.to_string())));
        self
    }

    /// Adds a query parameter whose name the caller chose.
    pub(crate) fn named(mut self, name: &str, value: &str) -> Self {
        self.query.push((Cow::Owned(name.to_owned()), value.to_owned()));
        self
    }

    /// Asks for another form than JSON.
    pub(crate) fn accept(mut self, media_type: &'static str) -> Self {
        self.accept = Some(media_type);
        self
    }

    /// Asks the server to wait up to `seconds` for the outcome.
    pub(crate) const fn wait(mut self, seconds: u64) -> Self {
        self.wait_s = Some(seconds);
        self
    }
}

/// The source of the access token.
enum Credentials {
    Given(String),
    Login(Box<Session>),
    Own { keys: Keys, current: Mutex<Option<Token>> },
}

impl Credentials {
    /// Chooses the given token; else the login to the server that --url names; else, on this machine, the folder's keys.
    fn of(args: &ClientArgs, base: &Url, folder: &Folder) -> anyhow::Result<Self> {
        if let Some(token) = &args.token {
            return Ok(Self::Given(token.trim().to_owned()));
        }
        if let Some(path) = &args.token_file {
            let token = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
            return Ok(Self::Given(token.trim().to_owned()));
        }
        if args.url.is_some()
            && let Some(session) = Session::find(base, args)?
        {
            return Ok(Self::Login(Box::new(session)));
        }
        if !http::is_local(base) {
            let text = format!(
                "{base} is on another machine: log in with stockline login --url {base}, or give a token with --token, --token-file or STOCKLINE_TOKEN"
            );
            return Err(Usage(text).into());
        }
        let keys = Keys::open(folder).context("no --token is given, and no token can be made")?;
        Ok(Self::Own { keys, current: Mutex::new(None) })
    }
}

/// A client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The data folder whose server this is; `None` if an address was given.
    folder: Option<Folder>,
    credentials: Credentials,
}

impl std::fmt::Debug for Client {
    /// Without its token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client from the options; without --url it is of the data folder's server.
    pub(crate) fn new(args: &ClientArgs) -> anyhow::Result<Self> {
        let folder = Folder::at(&args.data.data);
        let base = match &args.url {
            Some(url) => url.clone(),
            None => files::read_if_exists(&folder.address())?
                .map_or_else(|| format!("http://{DEFAULT_LISTEN}"), |text| text.trim().to_owned()),
        };
        let base = http::address(&base)?;
        let credentials = Credentials::of(args, &base, &folder)?;
        let folder = args.url.is_none().then_some(folder);
        Ok(Self { folder, ..Self::with(&base, credentials, args.ca_cert.as_deref())? })
    }

    /// Creates a client of a server, with a token.
    pub(crate) fn with_token(base: &Url, token: String, ca_cert: Option<&Path>) -> anyhow::Result<Self> {
        Self::with(base, Credentials::Given(token), ca_cert)
    }

    fn with(base: &Url, credentials: Credentials, ca_cert: Option<&Path>) -> anyhow::Result<Self> {
        let http = http::client(base, ca_cert, Policy::limited(REDIRECTS_MAX))?;
        Ok(Self { http, base: base.clone(), folder: None, credentials })
    }

    /// Returns the data folder, unless the server was named by its address.
    pub(crate) const fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    /// Reports whether the server is on this machine, so that both have the same clock.
    pub(crate) fn is_local(&self) -> bool {
        http::is_local(&self.base)
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, request: &Request) -> anyhow::Result<Answer> {
        self.send_until(request, Duration::ZERO).await
    }

    /// Sends a request and retries it for as long as `patience` while the server is unreachable or asks to retry later.
    pub(crate) async fn send_until(&self, request: &Request, patience: Duration) -> anyhow::Result<Answer> {
        let raw = self.send_raw(request, patience).await?;
        let body =
            if raw.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&raw.bytes).unwrap_or_default() };
        Ok(Answer { status: raw.status, location: raw.location, body })
    }

    /// As [`Client::send_until`], for callers that parse the body into their own types.
    pub(crate) async fn send_raw(&self, request: &Request, patience: Duration) -> anyhow::Result<RawAnswer> {
        let deadline = Instant::now() + patience;
        let mut pauses = Retry::new(RETRY_FIRST, RETRY_MOST);
        loop {
            let (error, asked_pause) = match self.attempt(request).await? {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Later(error, pause) => (error, pause),
            };
            let pause = asked_pause.unwrap_or_default().min(RETRY_AFTER_MOST).max(pauses.next_pause());
            if Instant::now() + pause > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Opens an answer that is read piece by piece.
    pub(crate) async fn open(&self, request: &Request) -> anyhow::Result<reqwest::Response> {
        let response = match self.begin(request).await? {
            Ok(response) => response,
            Err(later) => return Err(later.into()),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.bytes().await.unwrap_or_default();
        Err(problem_of(status, &bytes).into())
    }

    /// Sends a request; the inner error may pass.
    async fn begin(&self, request: &Request) -> anyhow::Result<Result<reqwest::Response, Unavailable>> {
        let mut url = http::at(&self.base, &request.path)?;
        if url.origin() != self.base.origin() {
            // A token is sent only to its own server, wherever an answer points.
            return Err(anyhow::anyhow!(
                "{} refers to another server ({}): the token is not sent there",
                self.base,
                url.origin().ascii_serialization()
            ));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let token = match self.token().await {
            Ok(token) => token,
            Err(NoToken::Later(error)) => return Ok(Err(error)),
            Err(NoToken::Ended(error)) => return Err(error),
        };
        let mut http = self.http.request(request.method.clone(), url).bearer_auth(token);
        if let Some(body) = &request.body {
            http = http.header("content-type", request.body_is).body(body.clone());
        }
        if let Some(seconds) = request.wait_s {
            http = http.header("prefer", format!("wait={seconds}"));
        }
        if let Some(accept) = request.accept {
            http = http.header("accept", accept).timeout(EXPORT_TIMEOUT);
        }
        Ok(http.send().await.map_err(|error| self.unreachable(&error)))
    }

    async fn attempt(&self, request: &Request) -> anyhow::Result<Attempt> {
        let response = match self.begin(request).await? {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Later(error, None)),
        };
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, retry_after, date) = (header("location"), header("retry-after"), header("date"));
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Attempt::Later(self.unreachable(&error), None)),
        };
        if status.is_success() {
            return Ok(Attempt::Answer(RawAnswer { status, location, date, bytes }));
        }
        let problem = problem_of(status, &bytes);
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY) {
            let pause = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            return Ok(Attempt::Later(Unavailable(format!("{} answers {status}: {problem}", self.base)), pause));
        }
        let error = anyhow::Error::from(problem);
        Err(match &self.credentials {
            Credentials::Login(session) if status == StatusCode::UNAUTHORIZED => error.context(session.advice()),
            _ => error,
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Unavailable {
        let cause = http::cause(error);
        let base = &self.base;
        Unavailable(match &self.folder {
            Some(folder) => {
                let folder = folder.path().display();
                format!(
                    "no server answers for the data folder {folder} (at {base}: {cause}); start it with `stockline serve --data {folder}`"
                )
            }
            None => format!("can't reach {base} ({cause}); is the server running there, and the address right?"),
        })
    }

    async fn token(&self) -> Result<String, NoToken> {
        match &self.credentials {
            Credentials::Given(token) => Ok(token.clone()),
            Credentials::Login(session) => session.token().await,
            Credentials::Own { keys, current } => own_token(keys, current).map_err(NoToken::Ended),
        }
    }
}

fn own_token(keys: &Keys, current: &Mutex<Option<Token>>) -> anyhow::Result<String> {
    let now = SystemClock.now();
    let mut current = current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let usable = current.take().filter(|token| token.expires_at.millis_since(now) > RENEW_BEFORE_MS);
    let token = match usable {
        Some(token) => token,
        None => tokens::for_command_line(keys, now)?,
    };
    let jwt = token.jwt.clone();
    *current = Some(token);
    Ok(jwt)
}

/// The result of one attempt.
enum Attempt {
    Answer(RawAnswer),
    /// A retry may succeed, after the pause that the server asked for.
    Later(Unavailable, Option<Duration>),
}

fn problem_of(status: StatusCode, body: &[u8]) -> Problem {
    let mut problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    problem.status = status.as_u16();
    if problem.title.is_empty() && problem.detail.is_empty() {
        problem.title = format!("the server answers {status}");
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_every_fault() {
        let body = br#"{"type":"about:blank","title":"Invalid","status":422,"detail":"it is not valid; errors names every fault","code":"invalid_command",
            "retryable":false,"errors":[{"pointer":"/quantity","code":"float","detail":"write \"2\""}]}"#;
        let text = problem_of(StatusCode::UNPROCESSABLE_ENTITY, body).to_string();
        assert_eq!(text, "it is not valid [invalid_command]\n  quantity write \"2\"");
        let other = problem_of(StatusCode::NOT_FOUND, b"<html>");
        assert_eq!(other.to_string(), "the server answers 404 Not Found");
    }
}
