//! The API, called in process with the token of the person who is signed in.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, Method, Request, StatusCode, request};
use axum::response::Response;
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fault::Fault;
use crate::problem::Problem;

mod gather;
mod imports;
mod reports;
mod shapes;

pub(crate) use gather::*;
pub(crate) use imports::*;
pub(crate) use reports::*;
pub(crate) use shapes::*;

/// The most bytes of an answer that are read: more than a page of any list has.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest wait for the outcome of a command. After it, the page says that the command is accepted.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// What stands unchanged in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Writes a text as one segment of a path, or as one value of a query.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The API's router.
#[derive(Debug, Clone)]
pub(crate) struct Api(pub(crate) Router);

/// The API as one person may use it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    api: Api,
    authorization: String,
}

impl Api {
    /// Returns the API for the holder of a token.
    pub(crate) fn with_token(&self, token: &str) -> Caller {
        Caller { api: self.clone(), authorization: format!("Bearer {token}") }
    }
}

impl Caller {
    /// Reads something. What is not found is a [`Fault::Problem`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        self.call(Method::GET, path, None).await
    }

    /// Reads something that may not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Problem(problem))
                if problem.status == 404 || ["invalid_id", "invalid_barcode"].contains(&problem.code.as_str()) =>
            {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Posts something. Commands are waited for.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts something.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Posts a file as it is.
    pub(crate) async fn post_file<T: DeserializeOwned>(&self, path: &str, bytes: Bytes) -> Result<T, Fault> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/octet-stream");
        read(self.send(request, Body::from(bytes)).await?).await
    }

    /// Returns an answer that is a file, with the headers that say what it is, as the API sends it.
    pub(crate) async fn file(&self, path: &str, accept: &str) -> Result<Response, Fault> {
        let answer = self.send(self.request(Method::GET, path).header(ACCEPT, accept), Body::empty()).await?;
        let (parts, body) = checked(answer).await?.into_parts();
        let mut file = Response::new(body);
        for name in [CONTENT_TYPE, CONTENT_DISPOSITION, LINK] {
            file.headers_mut().extend(parts.headers.get(&name).map(|value| (name, value.clone())));
        }
        Ok(file)
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, Fault> {
        let is_post = method == Method::POST;
        let mut request = self.request(method, path);
        if is_post {
            request = request.header("prefer", format!("wait={}", WAIT.as_secs()));
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        read(self.send(request, body).await?).await
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder().method(method).uri(path).header(AUTHORIZATION, &self.authorization)
    }

    async fn send(&self, request: request::Builder, body: Body) -> Result<Response, Fault> {
        let request = request.body(body).map_err(|error| Fault::broken(&error))?;
        match self.api.0.clone().oneshot(request).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, Fault> {
    let bytes = bytes_of(checked(answer).await?).await?;
    serde_json::from_slice(&bytes).map_err(|error| Fault::broken(&error))
}

async fn bytes_of(answer: Response) -> Result<Bytes, Fault> {
    let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(bytes.map_err(|error| Fault::broken(&error))?.to_bytes())
}

/// Returns a success as it is.
async fn checked(answer: Response) -> Result<Response, Fault> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(Fault::SignedOut);
    }
    let mut problem: Problem = serde_json::from_slice(&bytes_of(answer).await?).unwrap_or_default();
    problem.status = status.as_u16();
    Err(Fault::Problem(Box::new(problem)))
}

/// Returns the cursor of the next page that an answer links to (RFC 8288): it ends the address.
pub(crate) fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (address, rel) = link.strip_prefix('<')?.split_once('>')?;
    let (_, cursor) = address.rsplit_once("cursor=").filter(|_| rel.contains("rel=\"next\""))?;
    Some(cursor.to_owned())
}
