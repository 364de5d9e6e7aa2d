//! How people sign in.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// How people sign in here.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// By one-time links that a manager makes.
    Links(Arc<dyn People>),
}

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Manager,
    /// Moves stock and reads.
    Staff,
}

/// Who is to be signed in, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What the person may do.
    pub role: Role,
    /// A code for the person, as every ledger entry names them.
    pub subject: String,
    /// The locations that the person is bound to; empty for none.
    pub locations: Vec<String>,
}

/// A token of the API.
#[derive(Clone)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Something of the issuer does not work now, or the request can't be carried out; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PeopleError(pub String);

/// The issuer of this installation: it signs people in by one-time links.
#[async_trait]
pub trait People: Send + Sync + fmt::Debug {
    /// Returns whom a link signs in, without using it; `None` if it is unknown, used or expired.
    async fn whom(&self, code: &str) -> Result<Option<Grant>, PeopleError>;

    /// Uses a link: makes a token for its person. Durable before it returns, so that a link can be used once whatever
    /// happens; `None` if it is unknown, used or expired.
    async fn redeem(&self, code: &str) -> Result<Option<Token>, PeopleError>;

    /// Revokes the token of a session that is signed out.
    async fn sign_out(&self, token: &str) -> Result<(), PeopleError>;
}
