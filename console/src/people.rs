//! How people sign in.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// How people sign in here.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// By one-time links that a manager makes.
    Links(Arc<dyn People>),
    /// On the pages of an issuer, such as Cognito.
    Oidc(Oidc),
}

/// An issuer with pages of its own: OAuth 2 with an authorization code and PKCE, by a client without a secret. The client has
/// `{public}/console/sign-in/done` among its callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The address that the browser is sent to.
    pub authorization_endpoint: String,
    /// The address that exchanges codes for access tokens.
    pub token_endpoint: String,
    /// The address that ends the issuer's own session, as Cognito has it: with `client_id` and `logout_uri`, which is
    /// `{public}/console/signed-out`. Empty if there is none.
    pub logout_endpoint: String,
    /// The client.
    pub client_id: String,
    /// The scope that is asked for.
    pub scope: String,
}

impl SignIn {
    /// Returns the issuer of one-time links, if people come in by them.
    pub(crate) fn people(&self) -> Option<&Arc<dyn People>> {
        match self {
            Self::Links(people) => Some(people),
            Self::Oidc(_) => None,
        }
    }
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

/// A token that was issued and is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Names it, to revoke it.
    pub id: String,
    /// The holder, as every ledger entry names them.
    pub subject: String,
    /// What it may do, in a word or two.
    pub role: String,
    /// Whether it is that of a till.
    pub is_till: bool,
    /// The locations that it is bound to; empty for none.
    pub locations: Vec<String>,
    /// When it expires (RFC 3339).
    pub expires_at: String,
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

    /// Returns the id of a token, as [`Issued::id`] has it.
    fn id_of(&self, token: &str) -> Option<String>;

    /// Lists the valid tokens, the newest first.
    async fn issued(&self) -> Result<Vec<Issued>, PeopleError>;

    /// Makes a link that signs a person in once, and returns its address.
    async fn invite(&self, grant: &Grant) -> Result<String, PeopleError>;

    /// Makes the token of a till.
    async fn connect_till(&self, name: &str, locations: &[String]) -> Result<Token, PeopleError>;

    /// Revokes a token by its id.
    async fn revoke(&self, id: &str) -> Result<(), PeopleError>;
}
