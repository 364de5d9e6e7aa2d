//! The public keys of an issuer, from a JWK set (RFC 7517).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Bytes of a JWK set.
pub(super) const KEY_SET_BYTES: usize = 256 * 1024;
/// Keys of a JWK set that are read.
const KEYS: usize = 100;
/// Bits of a modulus: fewer are not safe, and more take too long to verify.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// An RSA key that verifies RS256.
#[derive(PartialEq, Eq)]
pub(super) struct VerifyingKey {
    kid: Box<str>,
    n: Vec<u8>,
    e: Vec<u8>,
}

impl VerifyingKey {
    pub(super) fn of_components(kid: &str, n: Vec<u8>, e: Vec<u8>) -> Self {
        Self { kid: kid.into(), n, e }
    }

    /// Does `signature` (base64url) match `message` (the token's first two parts with their dot)?
    pub(super) fn verifies(&self, message: &str, signature: &str) -> bool {
        let key = DecodingKey::from_rsa_raw_components(&self.n, &self.e);
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256).unwrap_or(false)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Trusted keys by `kid`.
#[derive(Debug, Default)]
pub(super) struct KeySet(HashMap<Box<str>, Arc<VerifyingKey>>);

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads the keys that can verify RS256, and ignores the others.
    ///
    /// # Errors
    /// It is not a JWK set, or none of its keys can verify RS256. The text continues a sentence that begins with the name
    /// of the source.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_slice(json)
            .map_err(|error| format!("is not a JWK set, an object with an array \"keys\" ({error})"))?;
        let (mut keys, mut refused) = (HashMap::new(), Vec::new());
        for (index, jwk) in set.keys.into_iter().take(KEYS).enumerate() {
            match verifying_key(jwk) {
                Ok(key) => {
                    keys.entry(key.kid.clone()).or_insert_with(|| Arc::new(key));
                }
                Err(why) => refused.push(format!("key {index} {why}")),
            }
        }
        if keys.is_empty() {
            let why = if refused.is_empty() { "it is empty".into() } else { refused.join("; ") };
            return Err(format!("holds no key that can verify RS256: {why}"));
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.0.get(kid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does the set contain this key, not just one with its name?
    pub(super) fn trusts(&self, key: &VerifyingKey) -> bool {
        self.0.get(&key.kid).is_some_and(|trusted| **trusted == *key)
    }
}

fn verifying_key(jwk: serde_json::Value) -> Result<VerifyingKey, String> {
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|error| format!("can't be read ({error})"))?;
    if jwk.kty != "RSA" {
        return Err("is not RSA".into());
    }
    if jwk.usage.is_some_and(|usage| usage != "sig") {
        return Err("is not for signatures (use)".into());
    }
    if jwk.alg.is_some_and(|alg| alg != "RS256") {
        return Err("is not for RS256 (alg)".into());
    }
    let kid = jwk.kid.ok_or("has no kid")?;
    let (n, e) = (number(jwk.n, "n")?, number(jwk.e, "e")?);
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !MODULUS_BITS.contains(&bits) {
        return Err(format!("has {bits} bits and needs {} to {}", MODULUS_BITS.start(), MODULUS_BITS.end()));
    }
    // With the exponent 1 a key "verifies" every message, and the library accepts such a key.
    if e == [1] || e.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("is not a sound RSA key (e)".into());
    }
    RsaPublicKeyComponents { n: &n, e: &e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|error| format!("is not a sound RSA key ({error})"))?;
    Ok(VerifyingKey::of_components(&kid, n, e))
}

/// Decodes a big-endian base64url number, without the leading zeros that some issuers write.
fn number(text: Option<String>, name: &str) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("has no {name}"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("has an {name} that is not base64url"))?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::TestKey;
    use super::*;

    fn parse(keys: serde_json::Value) -> Result<KeySet, String> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn only_rsa_keys_that_sign_rs256_are_read() {
        let good = TestKey::first().jwk();
        let with = |name: &str, value: serde_json::Value| {
            let mut jwk = good.clone();
            jwk[name] = value;
            jwk
        };
        let without = |name: &str| {
            let mut jwk = good.clone();
            jwk.as_object_mut().unwrap().remove(name);
            jwk
        };
        for taken in [good.clone(), without("use"), without("alg"), with("x5t", json!("odd")), with("ext", json!(true))]
        {
            assert!(parse(json!([taken])).unwrap().get("first").is_some());
        }
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        for (refused, why) in [
            (with("kty", json!("oct")), "not RSA"),
            (with("use", json!("enc")), "(use)"),
            (with("alg", json!("RS512")), "(alg)"),
            (with("alg", json!("HS256")), "(alg)"),
            (without("kid"), "no kid"),
            (without("n"), "no n"),
            (with("n", json!(short)), "1024 bits"),
            (with("n", json!("!")), "base64url"),
            (with("n", json!(7)), "can't be read"),
            (with("e", json!("AQ")), "sound"),
            (with("e", json!("")), "sound"),
            (with("e", json!("BA")), "sound"),
        ] {
            let error = parse(json!([refused])).unwrap_err();
            assert!(error.contains(why), "{error:?} should say {why:?}");
            let beside = parse(json!([refused, good])).unwrap();
            assert_eq!(beside.0.len(), 1, "a key that can't be used does not harm the others");
        }
    }

    #[test]
    fn a_text_that_is_not_a_key_set_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "not a JWK set"),
            ("[]", "not a JWK set"),
            ("{}", "not a JWK set"),
            (r#"{"keys":{}}"#, "not a JWK set"),
            (r#"{"keys":[]}"#, "it is empty"),
        ] {
            let error = KeySet::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
