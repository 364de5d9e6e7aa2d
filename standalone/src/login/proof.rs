//! The secrets that tie an answer to its login.

use anyhow::anyhow;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The random bytes of a verifier and of a state (RFC 7636 recommends 32).
const RANDOM_BYTES: usize = 32;

/// The secrets of one login. Not `Debug`: the verifier must not be printed.
pub(crate) struct Proof {
    /// The `code_verifier` (RFC 7636), which only the token endpoint may see.
    pub(crate) verifier: String,
    /// The `state` (RFC 6749): an answer with another state is not for this login.
    pub(crate) state: String,
}

impl Proof {
    /// Makes the secrets of a new login.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { verifier: random()?, state: random()? })
    }

    /// Returns the `code_challenge` of the method `S256`.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

fn random() -> anyhow::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system provides no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_equals_the_example_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let proof = Proof { verifier, state: String::new() };
        assert_eq!(proof.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn every_login_has_secrets_of_its_own() {
        let (one, two) = (Proof::new().unwrap(), Proof::new().unwrap());
        assert!((43..=128).contains(&one.verifier.len()), "RFC 7636, section 4.1");
        assert!(one.verifier != two.verifier && one.state != two.state && one.state != one.verifier);
    }
}
