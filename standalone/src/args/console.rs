//! Options of `console`.

use clap::{Args, Subcommand};
use stockline_core::domain::LocationId;

use super::{DataArg, Role};
use crate::duration::Span;

const EXAMPLES: &str = "Examples:
  stockline console link --role manager
  stockline console link --role staff --subject anna --location store-12

The link is printed. It works once, within 15 minutes; the session that it begins is valid as long as --ttl says.
`stockline token list` shows the session, and `stockline token revoke` ends it.";

#[derive(Debug, Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Print a link that signs a person in once
    Link(LinkArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LinkArgs {
    /// The role of the person
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// A code for the person, such as an employee number [default: the role]
    #[arg(long, value_name = "CODE")]
    pub(crate) subject: Option<String>,
    /// Restrict the person to this location; can be given several times
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) locations: Vec<LocationId>,
    /// How long the session is valid
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    pub(crate) ttl: Span,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
