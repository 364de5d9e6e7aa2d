//! The issuer's side of a login: where it is, codes and refresh tokens for access tokens.

use anyhow::{Context as _, bail};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use stockline_core::domain::Timestamp;

use super::proof::Proof;
use crate::exit::{Unavailable, Usage};
use crate::http;

/// The most bytes that are read of an answer; tokens are a few thousand.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// The longest text of an issuer that is shown.
const SHOWN_MAX_CHARS: usize = 300;
/// For how long a token is taken to be good where the issuer does not say, in seconds: Cognito's shortest.
const LIFETIME_UNKNOWN_S: i64 = 300;
/// The longest lifetime that is believed, in seconds: Cognito's longest, a day.
const LIFETIME_MAX_S: i64 = 24 * 3_600;

/// What the server says at `/v1/login`.
#[derive(Deserialize)]
struct Told {
    authorization_endpoint: String,
    token_endpoint: String,
    client_id: String,
    scope: String,
}

/// Where one logs in, checked.
#[derive(Debug)]
pub(super) struct Endpoints {
    authorization: Url,
    pub(super) token: Url,
    pub(super) client_id: String,
    scope: String,
}

impl Endpoints {
    /// Asks the server.
    pub(super) async fn of_server(client: &reqwest::Client, server: &Url) -> anyhow::Result<Self> {
        let url = server.join("/v1/login")?;
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
                "{server} has no login. Give a token with --token, --token-file or STOCKLINE_TOKEN; on AWS, whoever runs the ingress sets STOCKLINE_LOGIN_URL and STOCKLINE_LOGIN_CLIENT_ID"
            )));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            bail!(Unavailable(format!("{server} answers {status}")));
        }
        let told: Option<Told> = serde_json::from_slice(&body).ok().filter(|_| status.is_success());
        let told =
            told.with_context(|| format!("{server} answers {status} to /v1/login: is it a Stockline server?"))?;
        Ok(Self {
            authorization: endpoint(&told.authorization_endpoint)?,
            token: endpoint(&told.token_endpoint)?,
            client_id: told.client_id,
            scope: told.scope,
        })
    }

    /// Where the browser goes.
    pub(super) fn address(&self, redirect_uri: &str, proof: &Proof) -> Url {
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

/// An endpoint of an issuer: passwords, codes and tokens go there.
pub(super) fn endpoint(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.filter(|url| http::is_private(url) && url.fragment().is_none())
        .with_context(|| format!("the login's address {:?} is not https: nothing is sent there", shown(text)))
}

/// Tokens that an issuer gave. Not `Debug`: they must not be printed.
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) expires_at: Timestamp,
    pub(super) refresh_token: Option<String>,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTokens {
    /// The same again may work.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The issuer will not.
    #[error("{0}")]
    Refused(String),
}

/// A form of the token endpoint.
pub(super) enum Grant<'a> {
    /// A code, with what it was asked for with.
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

/// Asks a token endpoint, once.
pub(super) async fn ask(
    client: &reqwest::Client,
    endpoint: &Url,
    client_id: &str,
    grant: &Grant<'_>,
    now: Timestamp,
) -> Result<Tokens, NoTokens> {
    let request = client
        .post(endpoint.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(grant.form(client_id, endpoint));
    let unreachable = |why: &str| Unavailable(format!("can't reach the login at {} ({why})", place(endpoint)));
    let response = request.send().await.map_err(|error| unreachable(&http::cause(&error)))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Unavailable(format!("the login at {} answers {status}", place(endpoint))).into());
    }
    let body = read(response).await.map_err(|why| unreachable(&why))?;
    if !status.is_success() {
        let why = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => told(&refusal.error, &refusal.error_description),
            Err(_) => status.to_string(),
        };
        return Err(NoTokens::Refused(format!("the login at {} refuses: {why}", place(endpoint))));
    }
    let granted = serde_json::from_slice::<Granted>(&body).ok();
    let granted = granted.filter(|it| it.token_type.eq_ignore_ascii_case("bearer") && is_token(&it.access_token));
    let Some(granted) = granted else {
        return Err(NoTokens::Refused(format!("the login at {} answers without a bearer token", place(endpoint))));
    };
    let lifetime_s = granted.expires_in.unwrap_or(LIFETIME_UNKNOWN_S).clamp(0, LIFETIME_MAX_S);
    Ok(Tokens {
        access_token: granted.access_token,
        expires_at: now.plus_millis(lifetime_s * 1_000),
        refresh_token: granted.refresh_token.filter(|token| !token.is_empty()),
    })
}

/// Can it stand in a header?
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn place(endpoint: &Url) -> String {
    endpoint.origin().ascii_serialization()
}

/// An issuer's error and its words for it.
pub(super) fn told(error: &str, description: &str) -> String {
    if description.is_empty() { shown(error) } else { format!("{} ({})", shown(error), shown(description)) }
}

/// Text from elsewhere as it may stand on a terminal: short, and without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX_CHARS).collect()
}

/// The body of an answer, or why it can't be read.
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
    fn tokens_are_asked_for_privately_only() {
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
    fn an_issuers_words_cant_command_a_terminal() {
        let text = told("access_denied", "\u{1b}[2Jno\n\u{7}");
        assert_eq!(text, "access_denied ([2Jno)");
        assert_eq!(told(&"x".repeat(10_000), "").len(), SHOWN_MAX_CHARS);
    }
}
