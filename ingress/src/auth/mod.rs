//! Who sends a request, and what they may do: RS256 access tokens of one issuer (design.md §4, §5).
//!
//! A token is verified once; after that it is recognized by its hash until it expires. The keys are a JWK set at an
//! address or in a file, and the issuer may rotate them at any time. If a token names an unknown key, the set is read
//! again before the token is refused.

mod authenticator;
mod cache;
mod changed;
mod error;
mod kept;
mod keys;
mod keyset;
mod principal;
mod rate;
mod registry;
mod remote;
mod revoked;
mod rights;
mod token;
mod token_check;
mod watched;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use authenticator::Authenticator;
pub use cache::CACHE_TOKENS;
pub use changed::FilesChanged;
pub use error::{AuthError, codes};
pub use kept::{KEYS_KEPT_S, KeptKeys};
pub use principal::{Principal, TokenHash};
pub use rate::{RATE_TOKENS, RateLimiter};
pub use registry::CLIENT_KEPT_S;
pub use revoked::{RevokedList, RevokedListError};
pub use rights::{Forbidden, LOCATION_PREFIX, RESOURCE_SERVER_PREFIX, ReadAs, Rights, SubmitAs};
pub use token::{EXPIRY_LEEWAY_S, LEEWAY_S, SUBMITTED_BY_CHARS, TOKEN_BYTES};
pub(crate) use token_check::{Refusal, TokenCheck};
