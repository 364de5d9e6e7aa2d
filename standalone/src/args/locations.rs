//! Options of `locations`.

use clap::{Args, Subcommand};
use stockline_core::domain::LocationId;

use super::ClientArgs;

const PUT_EXAMPLES: &str = "Examples:
  stockline locations put store-12 --name \"Main Street\" --time-zone Europe/Berlin --alert-email boss@example.com
  stockline locations put store-12 --closed
  stockline locations put store-12 --open
  zcat sales.csv.gz | tail -n +2 | cut -d, -f2 | sort -u | xargs stockline locations put --time-zone America/New_York";

#[derive(Debug, Subcommand)]
pub(crate) enum LocationsCommand {
    /// List the locations
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Register locations, or change them: what you do not name stays as it is
    #[command(after_help = PUT_EXAMPLES)]
    Put {
        /// The ids of the locations
        #[arg(required = true, value_name = "LOCATION")]
        location_ids: Vec<LocationId>,
        #[command(flatten)]
        changes: LocationChanges,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// What changes of a location.
#[derive(Debug, Args)]
pub(crate) struct LocationChanges {
    /// The name that people use [default of a new location: its id]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The IANA time zone; mails give local time in it [default of a new location: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// Who gets the location's alerts, in place of those who got them before; can be given several times
    #[arg(long = "alert-email", value_name = "ADDRESS")]
    pub(crate) alert_emails: Vec<String>,
    /// Send the location's alerts to the addresses of `serve --alert-email`
    #[arg(long, conflicts_with = "alert_emails")]
    pub(crate) no_alert_email: bool,
    /// Refuse new movements there
    #[arg(long)]
    pub(crate) closed: bool,
    /// Accept movements there again
    #[arg(long, conflicts_with = "closed")]
    pub(crate) open: bool,
}
