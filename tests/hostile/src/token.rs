//! Target: a token as a whole, and a header or payload within an otherwise valid token.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stockline_ingress::auth::codes;

use crate::api::{self, HEADER, World};

pub(crate) fn run(bytes: &[u8]) -> bool {
    api::with(|world| {
        let [header, payload, signature] = &world.token;
        let encoded = URL_SAFE_NO_PAD.encode(bytes);
        let as_header = judge(world, format!("Bearer {encoded}.{payload}.{signature}").as_bytes());
        assert_eq!(as_header, bytes == HEADER.as_bytes(), "another header under the same signature");
        let as_payload = judge(world, format!("Bearer {header}.{encoded}.{signature}").as_bytes());
        assert_eq!(as_payload, bytes == world.claims.as_bytes(), "other claims under the same signature");
        assert!(!judge(world, bytes), "nobody can guess a signature");
        as_header || as_payload
    })
}

/// Returns whether the token is accepted. A refusal must have a named reason.
fn judge(world: &World, authorization: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(authorization) else { return false };
    match world.block_on(world.auth.authenticate(Some(&value))) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.status() == 401 && codes::ALL.contains(&error.code), "{error:?}");
            assert!(error.www_authenticate().is_some_and(|value| value.to_str().is_ok()));
            false
        }
    }
}
