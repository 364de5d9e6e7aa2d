//! HTTP addresses and clients, shared by the API client and the login.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::exit::Usage;

/// The longest a single request may take, `Prefer: wait` included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(45);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Parses a server's address.
///
/// # Errors
/// [`Usage`] if it is not an http or https address with a host.
pub(crate) fn address(text: &str) -> Result<Url, Usage> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| Usage(format!("{text:?} is not an address such as https://stock.example.com")))
}

/// Returns the address of a path of the API. A server's address may have a path of its own: a proxy mounts the API there, and
/// the server may know of it, so that its own links have it already.
///
/// # Errors
/// The path is none.
pub(crate) fn at(server: &Url, path: &str) -> anyhow::Result<Url> {
    let base = server.path().trim_end_matches('/');
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?']);
    let is_whole = path.strip_prefix(base).is_some_and(is_below);
    let path = if path.starts_with('/') && !is_whole { format!("{base}{path}") } else { path.to_owned() };
    server.join(&path).with_context(|| format!("{path} is not a path"))
}

/// Reports whether the address is on this machine. Only there does the command line send a token of its own.
pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Reports whether nobody on the way can read the traffic.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_local(url)
}

/// Builds a client for one server; it trusts the certificates in `ca_cert` (PEM) besides the system's.
pub(crate) fn client(server: &Url, ca_cert: Option<&Path>, redirects: Policy) -> anyhow::Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirects)
        .no_proxy();
    if server.scheme() == "http" {
        // Reading the system's certificates would take longer than a request to this machine.
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

/// Returns the innermost cause of a failed request; the outer ones only repeat the address.
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
    fn a_server_may_be_mounted_at_a_path() {
        for server in ["https://shop/stock", "https://shop/stock/"] {
            let server = Url::parse(server).unwrap();
            for path in ["/v1/items?a=b", "/stock/v1/items?a=b"] {
                assert_eq!(at(&server, path).unwrap().as_str(), "https://shop/stock/v1/items?a=b");
            }
            assert_eq!(at(&server, "/stocks").unwrap().as_str(), "https://shop/stock/stocks");
            assert_eq!(at(&server, "https://other/v1").unwrap().host_str(), Some("other"));
        }
        assert_eq!(at(&Url::parse("http://shop:1").unwrap(), "/v1/items").unwrap().as_str(), "http://shop:1/v1/items");
    }

    #[test]
    fn only_loopback_addresses_are_local() {
        for local in ["http://127.0.0.1:8080", "http://[::1]:1", "https://localhost"] {
            assert!(is_local(&Url::parse(local).unwrap()), "{local}");
        }
        for remote in ["http://10.0.0.1", "https://stock.example.com", "http://localhost.example.com"] {
            assert!(!is_local(&Url::parse(remote).unwrap()), "{remote}");
        }
    }
}
