//! Options of `tls`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArg;

const EXAMPLES: &str = "Examples:
  stockline tls self-signed
  stockline tls self-signed --name shop.lan --name 192.168.1.20
  stockline serve --listen 0.0.0.0:8443 --tls-cert stockline-data/tls/server.pem --tls-key stockline-data/tls/server.key

Run it again to renew the server's certificate, or to add a name: the authority stays, and so does the trust in it. A
running server takes the new certificate by itself.";

#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Make an authority of your own and a certificate for the server in the local network, and say how to trust them
    SelfSigned(SelfSignedArgs),
}

/// Options of `tls self-signed`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SelfSignedArgs {
    /// A host name or IP address by which the server is reached; can be given several times [default: this machine's
    /// name, the name with .local, its address in the network]. localhost is always one
    #[arg(long = "name", value_name = "HOST|IP")]
    pub(crate) names: Vec<String>,
    /// How many days the server's certificate is valid; some systems refuse more than 825
    #[arg(long, value_name = "DAYS", default_value_t = 397, value_parser = clap::value_parser!(u16).range(1..=825))]
    pub(crate) days: u16,
    /// Where the files go [default: the folder tls in the data folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
