//! Stored logins: one file per server, readable only by its owner.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;

use crate::exit::Usage;
use crate::files::{self, SECRET};

/// The version of the file's layout.
const VERSION: u8 = 1;
/// How many bytes of the address's digest name the file.
const NAME_BYTES: usize = 16;

/// A stored login to one server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    v: u8,
    /// The origin of the server: scheme, host and port.
    pub(crate) server: String,
    /// Where the token is renewed.
    pub(super) token_endpoint: String,
    /// The id of the OAuth client.
    pub(super) client_id: String,
    /// The access token, a JWT.
    pub(crate) access_token: String,
    /// When the access token expires, by this machine's clock.
    pub(crate) expires_at: Timestamp,
    /// Renews the access token, if the issuer provides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, client_id, expires_at, .. } = self;
        f.debug_struct("Login")
            .field("server", server)
            .field("client_id", client_id)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Creates the login from an issuer's tokens.
    pub(crate) fn new(server: &Url, endpoints: &super::oauth::Endpoints, tokens: super::oauth::Tokens) -> Self {
        let mut login = Self {
            v: VERSION,
            server: origin(server),
            token_endpoint: endpoints.token.to_string(),
            client_id: endpoints.client_id.clone(),
            access_token: String::new(),
            expires_at: tokens.expires_at,
            refresh_token: None,
        };
        login.renew(tokens);
        login
    }

    /// Replaces the tokens; without a new refresh token the old one stays (RFC 6749, section 6).
    pub(super) fn renew(&mut self, tokens: super::oauth::Tokens) {
        self.access_token = tokens.access_token;
        self.expires_at = tokens.expires_at;
        if tokens.refresh_token.is_some() {
            self.refresh_token = tokens.refresh_token;
        }
    }
}

/// Returns scheme, host and port: the place that a token is kept for.
pub(crate) fn origin(server: &Url) -> String {
    server.origin().ascii_serialization()
}

/// The folder of a person's logins.
#[derive(Debug, Clone)]
pub(crate) struct Logins(PathBuf);

impl Logins {
    /// Chooses the named folder, or `.config/stockline/logins` in the home folder.
    pub(crate) fn at(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => std::env::home_dir()
                .ok_or_else(|| Usage("you have no home folder to keep logins in: name a folder with --logins".into()))?
                .join(".config/stockline/logins"),
        };
        Ok(Self(folder))
    }

    fn path(&self, server: &Url) -> PathBuf {
        let hash = digest(&SHA256, origin(server).as_bytes());
        self.0.join(format!("{}.json", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..NAME_BYTES])))
    }

    /// Reads the login to a server, if there is one.
    pub(crate) fn find(&self, server: &Url) -> anyhow::Result<Option<Login>> {
        let path = self.path(server);
        let Some(text) = files::read_if_exists(&path)? else { return Ok(None) };
        // The error is not shown: it may quote a token.
        let Some(login) = serde_json::from_str::<Login>(&text).ok().filter(|login| login.v == VERSION) else {
            bail!("{} is not a login that this version can read: {}", path.display(), super::log_in_again(server));
        };
        Ok(Some(login).filter(|login| login.server == origin(server)))
    }

    /// Stores a login in place of the one before.
    pub(crate) fn store(&self, server: &Url, login: &Login) -> anyhow::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("can't create {}", self.0.display()))?;
        files::write_atomic(&self.path(server), &serde_json::to_vec(login)?, SECRET)
    }

    /// Removes the login to a server; returns `false` if there is none.
    pub(crate) fn remove(&self, server: &Url) -> anyhow::Result<bool> {
        let path = self.path(server);
        match std::fs::remove_file(&path) {
            Ok(()) => {
                files::sync_folder_of(&path)?;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("can't remove {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login(server: &str) -> Login {
        Login {
            v: VERSION,
            server: server.into(),
            token_endpoint: "https://login.example.com/oauth2/token".into(),
            client_id: "people".into(),
            access_token: "the-access-token".into(),
            expires_at: Timestamp::from_millis(1_800_000_000_000),
            refresh_token: Some("the-refresh-token".into()),
        }
    }

    #[test]
    fn a_login_is_stored_for_its_owner_and_its_server_only() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(Some(&home.path().join("a/logins"))).unwrap();
        let url = |text: &str| Url::parse(text).unwrap();
        let (here, kept) = (url("https://stock.example.com/some/path"), login("https://stock.example.com"));
        assert_eq!(logins.find(&here).unwrap(), None);
        logins.store(&here, &kept).unwrap();
        for same in ["https://stock.example.com", "https://stock.example.com:443/", "https://STOCK.example.com/x"] {
            assert_eq!(logins.find(&url(same)).unwrap().as_ref(), Some(&kept), "{same}");
        }
        for other in ["http://stock.example.com", "https://stock.example.com:8443", "https://example.com"] {
            assert_eq!(logins.find(&url(other)).unwrap(), None, "{other}");
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&logins.path(&here)), mode(&logins.0)), (0o600, 0o700));
        assert!(logins.remove(&here).unwrap() && !logins.remove(&here).unwrap());
        assert_eq!(logins.find(&here).unwrap(), None);
    }

    #[test]
    fn the_error_about_an_unreadable_file_does_not_quote_it() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(Some(home.path())).unwrap();
        let server = Url::parse("https://stock.example.com").unwrap();
        for wrong in [r#"{"v":1,"access_token":"secret""#, r#"{"v":1,"expires_at":"secret"}"#, "secret"] {
            std::fs::write(logins.path(&server), wrong).unwrap();
            let error = format!("{:#}", logins.find(&server).unwrap_err());
            assert!(error.contains("stockline login --url https://stock.example.com"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let later = serde_json::to_string(&Login { v: 2, ..login("https://stock.example.com") }).unwrap();
        std::fs::write(logins.path(&server), later).unwrap();
        assert!(logins.find(&server).is_err(), "of a later version");
    }

    #[test]
    fn debug_shows_no_token() {
        let text = format!("{:?}", login("https://stock.example.com"));
        assert!(!text.contains("token\"") && !text.contains("the-access") && !text.contains("the-refresh"), "{text}");
    }
}
