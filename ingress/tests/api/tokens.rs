//! Sends the attack corpus of tokens, `tokens.txt`, to a running server that fetches its keys from an issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use serde_json::json;
use stockline_ingress::JwksSource;
use tokio::net::TcpListener;

use crate::server::{CLIENT, Client, ISSUER, Key, NOW_S, Server};

const CORPUS: &str = include_str!("tokens.txt");

/// Starts a listener on loopback that counts its requests.
async fn counting(answer: String) -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let router = Router::new().fallback(get(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer.clone();
        async move { answer }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, count)
}

/// The values that tokens are made with.
struct Forge {
    first: Key,
    second: Key,
    trap: String,
}

/// One entry of the corpus.
#[derive(Debug, Default)]
struct Entry {
    name: String,
    header: Option<String>,
    claims: Vec<(String, String)>,
    payload: Option<String>,
    sign: Option<String>,
    token: Option<String>,
    authorization: Option<String>,
    code: String,
}

fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = || rest.to_owned();
        if word == "==" {
            entries.push(Entry { name: rest(), ..Entry::default() });
            continue;
        }
        let entry = entries.last_mut().unwrap();
        assert!(entry.code.is_empty(), "{line} after the end of {}", entry.name);
        match word {
            "header" => entry.header = Some(rest()),
            "claim" => {
                let (name, value) = line["claim ".len()..].split_once(' ').unwrap();
                entry.claims.push((name.to_owned(), value.to_owned()));
            }
            "payload" => entry.payload = Some(rest()),
            "sign" => entry.sign = Some(rest()),
            "token" => entry.token = Some(rest()),
            "authorization" => entry.authorization = Some(rest()),
            "refused" => entry.code = rest(),
            other => panic!("{other} in {}", entry.name),
        }
    }
    entries
}

impl Forge {
    /// Returns the `Authorization` of an entry.
    fn authorization(&self, entry: &Entry) -> String {
        let good = self.token(&Entry::default());
        match &entry.authorization {
            Some(text) => text.replace("{good}", &good),
            None => format!("Bearer {}", self.token(entry)),
        }
    }

    fn token(&self, entry: &Entry) -> String {
        let claims = claims(&entry.claims);
        let fill = |text: &str| self.fill(text, &claims);
        let header =
            entry.header.as_deref().map_or_else(|| r#"{"alg":"RS256","typ":"JWT","kid":"first"}"#.into(), fill);
        let payload = entry.payload.as_deref().map_or_else(|| format!("{{{}}}", fill(&claims)), fill);
        let [h, p] = [&header, &payload].map(encode);
        let s = self.signature(entry.sign.as_deref(), &format!("{h}.{p}"));
        let template = entry.token.as_deref().unwrap_or("{h}.{p}.{s}");
        // One more blank gives it a length whose base64 has unused bits.
        let unclean_part = |part: &str| unclean(&encode(format!("{part}{}", &"  "[..(4 - part.len() % 3) % 3])));
        let template = fill(
            &template.replace("{unclean-h}", &unclean_part(&header)).replace("{unclean-p}", &unclean_part(&payload)),
        );
        template.replace("{h}", &h).replace("{p}", &p).replace("{s}", &s)
    }

    /// Replaces the placeholders.
    fn fill(&self, text: &str, claims: &str) -> String {
        let text = text.replace("{claims}", claims).replace("{trap}", &self.trap);
        let text = text.replace("{stranger}", &self.second.jwk("first").to_string());
        let text = if text.contains("{good}") { text.replace("{good}", &self.token(&Entry::default())) } else { text };
        let mut filled = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            match placeholder(rest) {
                Some((value, length)) => {
                    filled.push_str(&value);
                    rest = &rest[length..];
                }
                None => {
                    filled.push('{');
                    rest = &rest[1..];
                }
            }
        }
        filled + rest
    }

    fn signature(&self, how: Option<&str>, message: &str) -> String {
        let by = |key: &EncodingKey, algorithm| jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
        let sound = by(&self.first.private, Algorithm::RS256);
        let bytes = URL_SAFE_NO_PAD.decode(&sound).unwrap();
        match how {
            None => sound,
            Some("empty") => String::new(),
            Some("rs256 by second") => by(&self.second.private, Algorithm::RS256),
            Some("rs512 by first") => by(&self.first.private, Algorithm::RS512),
            Some("ps256 by first") => by(&self.first.private, Algorithm::PS256),
            Some("hs256 with the first public key") => {
                by(&EncodingKey::from_secret(self.first.public_pem.as_bytes()), Algorithm::HS256)
            }
            Some("hs256 with an empty secret") => by(&EncodingKey::from_secret(b""), Algorithm::HS256),
            Some("zeros") => encode([0; 256]),
            Some("ones") => encode([255; 256]),
            Some("cut") => encode(&bytes[..255]),
            Some("longer") => encode([&bytes[..], &[0]].concat()),
            Some("flipped") => encode([&bytes[..255], &[bytes[255] ^ 1]].concat()),
            Some("unclean") => unclean(&sound),
            Some("other alphabet") => format!("{}+/", sound[..340].replace('-', "+").replace('_', "/")),
            Some("good") => self.token(&Entry::default()).rsplit('.').next().unwrap().to_owned(),
            Some(text) => self.fill(text, ""),
        }
    }
}

/// Returns the value and the length of `{x*8}`, `{now-31}` or `{hex:ff00}` at the beginning of a text.
fn placeholder(text: &str) -> Option<(String, usize)> {
    let inner = &text[1..=text.find('}')?];
    if let Some((what, times)) = inner[..inner.len() - 1].split_once('*')
        && what.chars().count() == 1
    {
        return Some((what.repeat(times.parse().ok()?), text.find('}')? + 1));
    }
    let inner = &inner[..inner.len() - 1];
    let value = match inner.get(..4)? {
        "now+" | "now-" => (NOW_S + inner[3..].parse::<i64>().ok()?).to_string(),
        "hex:" => {
            let digits = &inner[4..];
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            encode((0..digits.len()).step_by(2).map(byte).collect::<Vec<_>>())
        }
        _ => return None,
    };
    Some((value, inner.len() + 2))
}

/// Returns the claims of a valid token with these changed, as JSON without its braces.
fn claims(changed: &[(String, String)]) -> String {
    let mut claims = vec![
        ("iss", json!(ISSUER).to_string()),
        ("token_use", json!("access").to_string()),
        ("client_id", json!(CLIENT).to_string()),
        ("sub", json!("ann").to_string()),
        ("iat", (NOW_S - 60).to_string()),
        ("exp", (NOW_S + 3_600).to_string()),
        ("cognito:groups", json!(["Staff"]).to_string()),
    ];
    for (name, value) in changed {
        claims.retain(|(known, _)| known != name);
        if value != "null" {
            claims.push((name, value.clone()));
        }
    }
    claims.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect::<Vec<_>>().join(",")
}

/// Encodes the same bytes with a last letter whose unused bits are set.
fn unclean(encoded: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(encoded.len() % 4, 0, "no bits are left over");
    let (rest, last) = encoded.split_at(encoded.len() - 1);
    let at = LETTERS.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", LETTERS[at + 1] as char)
}

fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_of_the_corpus_is_refused_by_its_code_and_no_stranger_is_asked_for_a_key() {
    let (trap, visits) = counting("{}".into()).await;
    let forge = Forge { first: Key::generate(), second: Key::generate(), trap };
    let (issuer, fetches) = counting(json!({"keys": [forge.first.jwk("first")]}).to_string()).await;
    let server = Server::with(|config| config.auth.jwks = JwksSource::Url(format!("{issuer}/jwks.json"))).await;
    let client = server.nobody();
    let ask = async |client: &Client, authorization: &str| {
        client.send(client.request(Method::GET, "/v1/items").header("authorization", authorization)).await
    };
    let good = forge.authorization(&Entry::default());
    while ask(&client, &good).await.status == 503 {}

    let entries = entries();
    assert!(entries.len() >= 140, "{}", entries.len());
    let mut wrong = Vec::new();
    for entry in &entries {
        let authorization = forge.authorization(entry);
        let answer = ask(&client, &authorization).await;
        let says_how = answer.header("www-authenticate").starts_with("Bearer realm=\"stockline\"");
        if (answer.status, answer.code()) != (401, &entry.code) || !says_how {
            wrong.push(format!("{}: {} {}, expected {}", entry.name, answer.status, answer.text, entry.code));
        }
        assert_eq!(ask(&client, &good).await.status, 200, "a good token after {}", entry.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), entries.len(), wrong.join("\n"));
    assert_eq!(visits.load(Ordering::SeqCst), 0, "an address that came in a token was asked");
    // The server fetches keys at the start, and once for the first unknown key. It may fetch again only ten seconds
    // later.
    let fetched = fetches.load(Ordering::SeqCst);
    assert!((1..=2).contains(&fetched), "the issuer was asked {fetched} times");
    println!("{} tokens", entries.len());
}
