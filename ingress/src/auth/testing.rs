//! Keys and tokens for tests. RSA keys are made once per process.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use stockline_core::domain::Timestamp;
use stockline_core::ports::FixedClock;

pub(crate) const ISSUER: &str = "https://issuer.test/pool";
pub(crate) const CLIENT: &str = "till-client";
/// The time at which tests run, in seconds.
pub(crate) const NOW_S: i64 = 1_800_000_000;

pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000)))
}

pub(crate) struct TestKey {
    pub(crate) kid: &'static str,
    pub(crate) encoding: EncodingKey,
    pub(crate) public_pem: String,
}

impl TestKey {
    fn generate(kid: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pem = pem("PRIVATE KEY", pair.as_der().unwrap().as_ref());
        let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
        Self {
            kid,
            encoding: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
            public_pem: self::pem("PUBLIC KEY", public.as_ref()),
        }
    }

    /// `kid` "first".
    pub(crate) fn first() -> &'static Self {
        static KEY: OnceLock<TestKey> = OnceLock::new();
        KEY.get_or_init(|| Self::generate("first"))
    }

    /// `kid` "second".
    pub(crate) fn second() -> &'static Self {
        static KEY: OnceLock<TestKey> = OnceLock::new();
        KEY.get_or_init(|| Self::generate("second"))
    }

    pub(crate) fn jwk(&self) -> Value {
        let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(&self.encoding, Algorithm::RS256).unwrap().algorithm
        else {
            panic!("an RSA key")
        };
        json!({"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": "RS256", "typ": "JWT", "kid": self.kid}), &claims.to_string())
    }

    /// Signs a token with any header and any text as claims.
    pub(crate) fn token_with(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.encoding, Algorithm::RS256).unwrap();
        format!("{message}.{signature}")
    }
}

pub(crate) fn jwks(keys: &[&TestKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// Returns the claims of a valid token.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "token_use": "access", "client_id": CLIENT, "sub": "ann", "jti": "token-1",
        "iat": NOW_S - 60, "exp": NOW_S + 3_600, "cognito:groups": ["Staff"],
    })
}

/// Returns the claims of a valid token with one changed; `null` removes it.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

pub(crate) fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

pub(crate) fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).unwrap()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
