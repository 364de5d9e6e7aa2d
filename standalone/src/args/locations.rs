//! Options of `locations`.

use clap::Subcommand;
use stockline_core::domain::LocationId;

use super::ClientArgs;

const PUT_EXAMPLES: &str = "Examples:
  stockline locations put store-12 --name \"Main Street\" --time-zone Europe/Berlin --alert-email boss@example.com
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
    /// Create or replace locations
    #[command(after_help = PUT_EXAMPLES)]
    Put {
        /// The ids of the locations
        #[arg(required = true, value_name = "LOCATION")]
        location_ids: Vec<LocationId>,
        /// The name that people use [default: the id]
        #[arg(long)]
        name: Option<String>,
        /// The IANA time zone; mails give local time in it
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
        /// Who gets the location's alerts; can be given several times
        #[arg(long = "alert-email", value_name = "ADDRESS")]
        alert_emails: Vec<String>,
        /// Refuse new movements there
        #[arg(long)]
        closed: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
}
