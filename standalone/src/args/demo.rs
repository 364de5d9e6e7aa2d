//! Options of `demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::DEFAULT_LISTEN;
use super::serve::listen_address;

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// The folder of the demo shop; remove it to throw the shop away
    #[arg(long, value_name = "FOLDER", default_value = "./stockline-demo")]
    pub(crate) data: PathBuf,
    /// Where the demo listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN, value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Another number makes another shop
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}
