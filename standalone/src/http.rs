//! Addresses and clients for HTTP, the same for the server and for its login.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::exit::Usage;

/// The longest a single request may take, `Prefer: wait` included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(45);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server's address.
///
/// # Errors
/// [`Usage`] where it is not http or https with a host.
pub(crate) fn address(text: &str) -> Result<Url, Usage> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| Usage(format!("{text:?} is not an address such as https://stock.example.com")))
}

/// Is it this machine? A token made here goes nowhere else.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Can nobody on the way read what is sent there?
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_here(url)
}

/// A client for one server; `ca_cert` names certificates (PEM) to trust besides the system's.
pub(crate) fn client(server: &Url, ca_cert: Option<&Path>, redirects: Policy) -> anyhow::Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirects)
        .no_proxy();
    if server.scheme() == "http" {
        // Reading the system's certificates takes longer than a whole request to this machine.
        http = http.tls_certs_only([]);
    }
    if let Some(path) = ca_cert {
        let pem = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        let certs = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("{} holds no certificate in PEM", path.display()))?;
        http = http.tls_certs_merge(certs);
    }
    http.build().context("can't set up the HTTP client")
}

/// The innermost cause of a failed request, the one that says something.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_made_here_is_sent_to_this_machine_only() {
        for here in ["http://127.0.0.1:8080", "http://[::1]:1", "https://localhost"] {
            assert!(is_here(&Url::parse(here).unwrap()), "{here}");
        }
        for there in ["http://10.0.0.1", "https://stock.example.com", "http://localhost.example.com"] {
            assert!(!is_here(&Url::parse(there).unwrap()), "{there}");
        }
    }
}
