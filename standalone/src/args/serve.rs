//! Options of `serve`, and of everything that sends mail.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{DEFAULT_LISTEN, DataArg};

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
    /// Where the API listens; port 0 means any free port
    #[arg(long, value_name = "ADDRESS:PORT", env = "STOCKLINE_LISTEN", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// Where /metrics listens, for Prometheus [default: 127.0.0.1:9464, or any free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT", env = "STOCKLINE_METRICS_LISTEN")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Serve HTTPS with this certificate chain (PEM)
    #[arg(long, value_name = "PEM", env = "STOCKLINE_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "PEM", env = "STOCKLINE_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve plain HTTP to other machines: only behind a proxy that does TLS, because anyone on the way can read tokens
    #[arg(long, env = "STOCKLINE_INSECURE_HTTP")]
    pub(crate) insecure_http: bool,
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
    /// Send mails through this server, for example smtps://user:password@mail.example.com [default: write .eml files to FOLDER/mail]
    #[arg(long, value_name = "URL", env = "STOCKLINE_SMTP_URL", hide_env_values = true)]
    pub(crate) smtp_url: Option<String>,
    /// The sender of mails
    #[arg(long, value_name = "ADDRESS", env = "STOCKLINE_MAIL_FROM", default_value = "stockline@localhost")]
    pub(crate) mail_from: String,
}
