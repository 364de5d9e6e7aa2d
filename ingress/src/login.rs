use reqwest::Url;

/// The scope that makes Cognito name the person who logged in.
const COGNITO_SCOPE: &str = "openid";

/// Where people log in: OAuth 2 with an authorization code, PKCE and a public client (RFC 6749, RFC 7636). `/v1/login`
/// answers it, so that a client needs only the address of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// The address that the browser is sent to.
    pub authorization_endpoint: String,
    /// The address that exchanges codes and refresh tokens for access tokens.
    pub token_endpoint: String,
    /// The client that people log in with, without a secret. It is one of [`crate::AuthConfig::client_ids`].
    pub client_id: String,
    /// The scope that is asked for.
    pub scope: String,
}

/// An address that can't be used to log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an address such as https://acme.auth.eu-central-1.amazoncognito.com: https, without a path")]
pub struct LoginAddressError;

impl LoginConfig {
    /// Returns the login of a Cognito user pool, from its domain: `https://…` without a path. `http` is accepted only for
    /// this machine, because tokens must not cross a network unencrypted.
    ///
    /// # Errors
    /// It is not such an address.
    pub fn cognito(domain: &str, client_id: &str) -> Result<Self, LoginAddressError> {
        let url = Url::parse(domain).map_err(|_| LoginAddressError)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let safe = url.scheme() == "https" || url.scheme() == "http" && is_here(&url);
        if !bare || !safe || !url.has_host() {
            return Err(LoginAddressError);
        }
        let base = url.as_str().trim_end_matches('/');
        Ok(Self {
            authorization_endpoint: format!("{base}/oauth2/authorize"),
            token_endpoint: format!("{base}/oauth2/token"),
            client_id: client_id.to_owned(),
            scope: COGNITO_SCOPE.to_owned(),
        })
    }
}

impl LoginConfig {
    /// Returns the address that ends Cognito's own session of a person, beside its other pages.
    pub fn logout_endpoint(&self) -> String {
        format!("{}/logout", self.authorization_endpoint.trim_end_matches("/oauth2/authorize"))
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cognito_domain_names_both_endpoints() {
        for domain in ["https://acme.auth.eu-central-1.amazoncognito.com", "https://login.example.com/"] {
            let login = LoginConfig::cognito(domain, "c").unwrap();
            let base = domain.trim_end_matches('/');
            assert_eq!(login.authorization_endpoint, format!("{base}/oauth2/authorize"));
            assert_eq!(login.token_endpoint, format!("{base}/oauth2/token"));
            assert_eq!(login.logout_endpoint(), format!("{base}/logout"));
            assert_eq!((login.client_id.as_str(), login.scope.as_str()), ("c", "openid"));
        }
        assert!(LoginConfig::cognito("http://127.0.0.1:4566", "c").is_ok());
    }

    #[test]
    fn an_unencrypted_or_invalid_login_address_is_refused() {
        for wrong in [
            "http://login.example.com",
            "http://localhost.example.com",
            "login.example.com",
            "ftp://login.example.com",
            "https://login.example.com/oauth2/authorize",
            "https://login.example.com?x=1",
            "https://user@login.example.com",
            "",
        ] {
            assert_eq!(LoginConfig::cognito(wrong, "c"), Err(LoginAddressError), "{wrong}");
        }
    }
}
