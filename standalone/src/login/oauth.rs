//! The issuer's side of a login: its endpoints, and the exchange of codes and refresh tokens for access tokens.

use anyhow::{Context as _, bail};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use stockline_core::domain::Timestamp;

use super::proof::Proof;
use crate::exit::{Unavailable, Usage};
use crate::http;

/// The longest answer, in bytes; tokens have a few thousand.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// The longest text of an issuer that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 300;
/// The assumed lifetime of a token if the issuer names none, in seconds: Cognito's shortest.
const LIFETIME_DEFAULT_S: i64 = 300;
/// The longest accepted lifetime, in seconds: Cognito's longest, a day.
const LIFETIME_MAX_S: i64 = 24 * 3_600;

/// The server's answer at `/v1/login`.
#[derive(Deserialize)]
struct LoginSettings {
    authorization_endpoint: String,
    token_endpoint: String,
    client_id: String,
    scope: String,
}

/// The checked endpoints of an issuer.
#[derive(Debug)]
pub(crate) struct Endpoints {
    authorization: Url,
    pub(crate) token: Url,
    pub(crate) client_id: String,
    scope: String,
}

impl Endpoints {
    /// Asks the server for its issuer.
    pub(crate) async fn of_server(client: &reqwest::Client, server: &Url) -> anyhow::Result<Self> {
        let url = http::at(server, "/v1/login")?;
        let response = match client.get(url).send().await {
            Ok(response) => response,
            Err(error) => {
                return Err(Unavailable(format!("can't reach {server} ({})", http::cause(&error))).into());
            }
        };
        let status = response.status();
        let body = read(response).await.map_err(Unavailable)?;
        if status == StatusCode::NOT_FOUND {
            bail!(Usage(format!(
                "{server} has no login: give a token with --token, --token-file or STOCKLINE_TOKEN. On AWS, the operator enables the login with STOCKLINE_LOGIN_URL and STOCKLINE_LOGIN_CLIENT_ID of the ingress"
            )));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            bail!(Unavailable(format!("{server} answers {status}")));
        }
        let settings: Option<LoginSettings> = serde_json::from_slice(&body).ok().filter(|_| status.is_success());
        let settings =
            settings.with_context(|| format!("{server} answers {status} to /v1/login: is it a Stockline server?"))?;
        Ok(Self {
            authorization: endpoint(&settings.authorization_endpoint)?,
            token: endpoint(&settings.token_endpoint)?,
            client_id: settings.client_id,
            scope: settings.scope,
        })
    }

    /// Returns the address for the browser.
    pub(crate) fn address(&self, redirect_uri: &str, proof: &Proof) -> Url {
        let mut url = self.authorization.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &self.scope),
            ("state", &proof.state),
            ("code_challenge", &proof.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        url
    }
}

/// Parses the address of an issuer's endpoint. It must be private, because passwords, codes and tokens are sent there.
pub(crate) fn endpoint(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.filter(|url| http::is_private(url) && url.fragment().is_none())
        .with_context(|| format!("the login's address {:?} is not https: nothing is sent there", shown(text)))
}

/// Tokens from an issuer. Not `Debug`: they must not be printed.
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) refresh_token: Option<String>,
}

/// Why the issuer sent no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The issuer is unavailable; the same request may work later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The issuer refused.
    #[error("{0}")]
    Refused(String),
}

/// What is exchanged for tokens.
pub(crate) enum Grant<'a> {
    /// A code, with the parameters of its request.
    Code { code: &'a str, redirect_uri: &'a str, verifier: &'a str },
    /// A refresh token.
    Refresh(&'a str),
}

impl Grant<'_> {
    fn form(&self, client_id: &str, endpoint: &Url) -> String {
        let mut form = endpoint.clone();
        form.set_query(None);
        {
            let mut pairs = form.query_pairs_mut();
            pairs.append_pair("client_id", client_id);
            match self {
                Self::Code { code, redirect_uri, verifier } => pairs.extend_pairs([
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("redirect_uri", redirect_uri),
                    ("code_verifier", verifier),
                ]),
                Self::Refresh(token) => pairs.extend_pairs([("grant_type", "refresh_token"), ("refresh_token", token)]),
            };
        }
        form.query().unwrap_or_default().to_owned()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<i64>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Sends one request to a token endpoint.
pub(crate) async fn request_tokens(
    client: &reqwest::Client,
    endpoint: &Url,
    client_id: &str,
    grant: &Grant<'_>,
    now: Timestamp,
) -> Result<Tokens, TokenError> {
    let request = client
        .post(endpoint.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(grant.form(client_id, endpoint));
    let unreachable = |why: &str| Unavailable(format!("can't reach the login at {} ({why})", origin_of(endpoint)));
    let response = request.send().await.map_err(|error| unreachable(&http::cause(&error)))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Unavailable(format!("the login at {} answers {status}", origin_of(endpoint))).into());
    }
    let body = read(response).await.map_err(|why| unreachable(&why))?;
    if !status.is_success() {
        let why = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => describe(&refusal.error, &refusal.error_description),
            Err(_) => status.to_string(),
        };
        return Err(TokenError::Refused(format!("the login at {} refuses: {why}", origin_of(endpoint))));
    }
    let granted = serde_json::from_slice::<Granted>(&body).ok();
    let granted = granted.filter(|it| it.token_type.eq_ignore_ascii_case("bearer") && is_token(&it.access_token));
    let Some(granted) = granted else {
        return Err(TokenError::Refused(format!(
            "the login at {} answers without a bearer token",
            origin_of(endpoint)
        )));
    };
    let lifetime_s = granted.expires_in.unwrap_or(LIFETIME_DEFAULT_S).clamp(0, LIFETIME_MAX_S);
    Ok(Tokens {
        access_token: granted.access_token,
        expires_at: now.plus_millis(lifetime_s * 1_000),
        refresh_token: granted.refresh_token.filter(|token| !token.is_empty()),
    })
}

/// Reports whether the text may be sent in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn origin_of(endpoint: &Url) -> String {
    endpoint.origin().ascii_serialization()
}

/// Describes an issuer's error.
pub(crate) fn describe(error: &str, description: &str) -> String {
    if description.is_empty() { shown(error) } else { format!("{} ({})", shown(error), shown(description)) }
}

/// Makes foreign text safe for a terminal: short and without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX_CHARS).collect()
}

/// Reads the body of an answer, or returns why it can't be read.
async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| http::cause(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX_BYTES {
            return Err(format!("the answer is longer than {ANSWER_MAX_BYTES} bytes"));
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_requested_only_where_nobody_can_listen() {
        for good in ["https://login.example.com/oauth2/token", "http://127.0.0.1:4566/t", "http://localhost/t"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for wrong in ["http://login.example.com/t", "login", "file:///etc/passwd", "javascript:alert(1)", "https://"] {
            let error = endpoint(wrong).unwrap_err().to_string();
            assert!(error.contains("is not https"), "{error}");
        }
    }

    #[test]
    fn a_form_escapes_what_it_carries() {
        let endpoint = Url::parse("https://login.example.com/oauth2/token?x=1").unwrap();
        let form = Grant::Code { code: "a&b=c", redirect_uri: "http://localhost:1/callback", verifier: "v" };
        assert_eq!(
            form.form("people", &endpoint),
            "client_id=people&grant_type=authorization_code&code=a%26b%3Dc&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcallback&code_verifier=v"
        );
        assert_eq!(
            Grant::Refresh("r+r").form("people", &endpoint),
            "client_id=people&grant_type=refresh_token&refresh_token=r%2Br"
        );
    }

    #[test]
    fn an_issuers_text_cant_steer_a_terminal() {
        let text = describe("access_denied", "\u{1b}[2Jno\n\u{7}");
        assert_eq!(text, "access_denied ([2Jno)");
        assert_eq!(describe(&"x".repeat(10_000), "").len(), SHOWN_MAX_CHARS);
    }
}
