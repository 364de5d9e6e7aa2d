//! Options of `login` and `logout`.

use std::path::PathBuf;

use clap::Args;

use crate::duration::Span;

/// The default port for the browser's answer. The login's client must have its address registered, port included.
const DEFAULT_PORT: u16 = 8_976;

const EXAMPLES: &str = "Examples:
  stockline login --url https://stock.example.com
  stockline login --url https://stock.example.com --no-browser
  stockline stock --url https://stock.example.com

The login's client must have the address http://localhost:8976/callback registered; with --port, the address with that
port. On a machine without a browser: connect to it with ssh -L 8976:127.0.0.1:8976, log in there with --no-browser, and
open the printed address in the browser of your own machine.";

/// Options of `login`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// A certificate (PEM) to trust besides the system's
    #[arg(long, value_name = "PEM", env = "STOCKLINE_CA_CERT")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// The port on this machine where the browser delivers the answer; 0 means any free port
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub(crate) port: u16,
    /// Only print the address, do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// How long to wait for the login in the browser
    #[arg(long, value_name = "SPAN", default_value = "300s")]
    pub(crate) timeout: Span,
}

/// The server of a login.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(long, value_name = "URL", env = "STOCKLINE_URL")]
    pub(crate) url: String,
    /// The folder in which logins are kept, readable only by you [default: ~/.config/stockline/logins]
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_LOGINS")]
    pub(crate) logins: Option<PathBuf>,
}
