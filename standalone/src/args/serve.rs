//! Options of `serve`, and of everything that sends mail.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::Args;
use stockline_core::domain::ScaleRules;
use stockline_ingress::{BasePath, Origin};

use super::{DEFAULT_LISTEN, DataArg};
use crate::mail::HelloName;

const EXAMPLES: &str = "Examples:
  stockline
  stockline serve --data /var/lib/stockline --alert-email stock@example.com --smtp-url smtps://user:password@mail.example.com
  stockline serve --listen 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem --public-url https://stock.example.com:8443
  stockline serve --staff-may count,adjust:damaged,adjust:expired";

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) data: DataArg,
    /// Where the API listens, for example localhost:8080; port 0 means any free port
    #[arg(long, value_name = "ADDRESS:PORT", env = "STOCKLINE_LISTEN", default_value = DEFAULT_LISTEN, value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Where /metrics listens, for Prometheus [default: 127.0.0.1:9464, or any free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT", env = "STOCKLINE_METRICS_LISTEN", value_parser = listen_address)]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Serve HTTPS with this certificate chain (PEM); renewed files are noticed. `stockline tls self-signed` makes some
    #[arg(long, value_name = "PEM", env = "STOCKLINE_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "PEM", env = "STOCKLINE_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve plain HTTP to other machines: only behind a proxy that does TLS, because anyone on the way can read tokens
    #[arg(long, env = "STOCKLINE_INSECURE_HTTP")]
    pub(crate) insecure_http: bool,
    /// Let the web pages of this origin call the API from a browser (CORS); can be given several times
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "STOCKLINE_CORS_ORIGIN", value_delimiter = ',')]
    pub(crate) origins: Vec<Origin>,
    /// The path at which a proxy mounts the API, for example /stock: links have it, whether the proxy takes it away or not
    #[arg(long, value_name = "PATH", env = "STOCKLINE_BASE_PATH", default_value = "/")]
    pub(crate) base_path: BasePath,
    /// Refuse movements that occurred more than this many days ago
    #[arg(long, value_name = "DAYS", env = "STOCKLINE_MAX_AGE_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) max_age_days: u32,
    /// Refuse counts that were taken more than this many hours ago
    #[arg(long, value_name = "HOURS", env = "STOCKLINE_LATE_COUNT_HOURS", default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=8_760))]
    pub(crate) late_count_hours: u32,
    /// Require every movement to name its location (without this, a movement that names none is for `main`)
    #[arg(long, env = "STOCKLINE_REQUIRE_LOCATION")]
    pub(crate) require_location: bool,
    /// Additional rights of Staff: `count`, and `adjust:` with a reason
    #[arg(long, value_name = "RIGHT,…", env = "STOCKLINE_STAFF_MAY", value_delimiter = ',')]
    pub(crate) staff_may: Vec<String>,
    /// How labels of the shop's own scales are read: the 12 digits before the check digit, with I for the item's number, and W
    /// for a weight in kg, Q for a quantity or P for a price, as in 21IIIIIWW.WWW; several with commas between
    #[arg(
        long,
        value_name = "PATTERN,…",
        env = "STOCKLINE_SCALE_LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) scale_labels: ScaleRules,
    /// The most requests per second of one token [default: no limit]
    #[arg(long, value_name = "N", env = "STOCKLINE_RATE_LIMIT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate_limit: Option<u32>,
    /// The address of the links in mails [default: the address where the API listens]
    #[arg(long, value_name = "URL", env = "STOCKLINE_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    #[command(flatten)]
    pub(crate) mail: MailArgs,
    /// What to log, for example `info` or `stockline_worker=debug,info`
    #[arg(long, value_name = "FILTER", env = "STOCKLINE_LOG", default_value = "info")]
    pub(crate) log: String,
    /// Export the spans of requests to this OpenTelemetry collector (OTLP over HTTP), for example http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "STOCKLINE_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Log one JSON object per line
    #[arg(long, env = "STOCKLINE_LOG_JSON")]
    pub(crate) log_json: bool,
}

/// How mails are sent.
#[derive(Debug, Clone, Args)]
pub(crate) struct MailArgs {
    /// Who gets the alerts of locations without their own addresses; can be given several times
    #[arg(long = "alert-email", value_name = "ADDRESS", env = "STOCKLINE_ALERT_EMAIL", value_delimiter = ',')]
    pub(crate) alert_emails: Vec<String>,
    /// Send mails through this server, for example smtps://user:password@mail.example.com, or with STARTTLS
    /// smtp://user:password@mail.example.com:587?tls=required [default: write .eml files to FOLDER/mail]
    #[arg(long, value_name = "URL", env = "STOCKLINE_SMTP_URL", hide_env_values = true)]
    pub(crate) smtp_url: Option<String>,
    /// The name by which the server introduces itself to the mail server (EHLO) [default: this machine's name, if it has a
    /// domain; else the domain of the sender]
    #[arg(long, value_name = "NAME", env = "STOCKLINE_SMTP_HELLO")]
    pub(crate) smtp_hello: Option<HelloName>,
    /// Certificates (PEM) to trust besides the system's, for a mail server with its own
    #[arg(long, value_name = "PEM", env = "STOCKLINE_SMTP_CA_CERT")]
    pub(crate) smtp_ca_cert: Option<PathBuf>,
    /// The sender of mails
    #[arg(long, value_name = "ADDRESS", env = "STOCKLINE_MAIL_FROM", default_value = "stockline@localhost")]
    pub(crate) mail_from: String,
}

/// Parses an address to listen at. A port alone is one of this machine only, and a name is looked up, IPv4 first.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let wrong = |what: &str| {
        format!(
            "{what}: write an address and a port, such as {DEFAULT_LISTEN} for this machine only, or 0.0.0.0:8080 for the network"
        )
    };
    match text.rsplit_once(':') {
        Some(("", port)) => return Err(wrong(&format!("it names no address before :{port}"))),
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
            return Err(wrong("an IPv6 address needs brackets, as in [::1]:8080"));
        }
        Some(_) => {}
        None => return Err(wrong("it names no port")),
    }
    let mut found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| wrong("the name has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_at_may_be_a_name_or_a_port() {
        for (text, address) in [
            ("127.0.0.1:8085", "127.0.0.1:8085"),
            ("localhost:8085", "127.0.0.1:8085"),
            ("8085", "127.0.0.1:8085"),
            ("[::1]:8085", "[::1]:8085"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address, "{text}");
        }
        for (bad, part) in [
            (":8085", "0.0.0.0:8080"),
            ("localhost", "no port"),
            ("::1:8085", "brackets"),
            ("127.0.0.1:99999", ""),
            ("", "no port"),
            ("70000", "no port"),
        ] {
            let error = listen_address(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }
}
