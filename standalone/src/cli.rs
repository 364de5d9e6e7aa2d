//! The command line: what can be asked, in clap's types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use stockline_core::domain::{CommandId, ItemId, LocationId, Timestamp};

use crate::duration::Span;
use crate::load::LoadArgs;
use crate::login::{LoginArgs, ServerArgs};
use crate::refused::RefusedArgs;
use crate::show::{AlertsArgs, HistoryArgs, StatusArgs, StockArgs};
use crate::submit::SubmitArgs;
use crate::tokens::Role;

mod serve;

use serve::SERVE_EXAMPLES;
pub(crate) use serve::{MailArgs, ServeArgs};

/// Where a client finds the server unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

const EXIT_CODES: &str = "Exit codes:
  0  all is well
  1  something was found wrong, or refused (the text says what)
  2  the command line can't be meant so
  3  what it needs can't be reached now; the same again may work

Every option named STOCKLINE_… can be set in the environment instead.";

/// Stock for shops and chains: tills submit commands, every one is applied exactly once, in order per item.
///
/// Without a subcommand it serves: `stockline` is `stockline serve`.
#[derive(Debug, Parser)]
#[command(name = "stockline", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API, apply commands and mail alerts, until SIGTERM or Ctrl-C (the default)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Make an access token and print it, or list and revoke those that were made
    #[command(after_help = TOKEN_EXAMPLES, args_conflicts_with_subcommands = true)]
    Token(TokenArgs),
    /// Log in to a server of another machine, in the browser; the other subcommands then find the token
    Login(LoginArgs),
    /// Forget a login
    Logout(ServerArgs),
    /// The keys that sign tokens and receipts
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Submit one command and wait for its outcome
    Submit(Box<SubmitArgs>),
    /// Submit every line of a CSV file (also .gz) as a command
    Load(Box<LoadArgs>),
    /// Show what is in stock
    Stock(StockArgs),
    /// Show what became of a command
    Status(StatusArgs),
    /// Show an item's movements, newest first
    History(HistoryArgs),
    /// Show refused commands, newest first; send them again with --resubmit
    Refused(Box<RefusedArgs>),
    /// Show alerts, newest first
    Alerts(AlertsArgs),
    /// Show locations, or create and change them
    #[command(subcommand)]
    Locations(LocationsCommand),
    /// Prove that the ledger explains the stock, level by level; also while the server runs
    Audit(AuditArgs),
    /// Copy a data folder into one file, also while the server runs
    Backup(BackupArgs),
    /// Make a data folder from a backup
    Restore(RestoreArgs),
    /// Commands that could not be applied and were set aside
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Mail
    #[command(subcommand)]
    Mail(MailCommand),
}

/// The data folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArg {
    /// The folder that holds everything: queue, stock, keys, mails
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_DATA", default_value = "./stockline-data")]
    pub(crate) data: PathBuf,
}

/// Which server, as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The server's address [default: that of the server of the data folder, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "STOCKLINE_URL")]
    pub(crate) url: Option<String>,
    /// An access token [default: that of `stockline login`; for the data folder's server, a manager's for 15 minutes,
    /// made with the keys of the folder]
    #[arg(long, value_name = "JWT", env = "STOCKLINE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A file that holds an access token
    #[arg(long, value_name = "FILE", env = "STOCKLINE_TOKEN_FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
    /// The folder that `stockline login` keeps logins in [default: ~/.config/stockline/logins]
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_LOGINS")]
    pub(crate) logins: Option<PathBuf>,
    /// A certificate (PEM) to trust besides the system's, for a server with a certificate of its own
    #[arg(long, value_name = "PEM", env = "STOCKLINE_CA_CERT")]
    pub(crate) ca_cert: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

const TOKEN_EXAMPLES: &str = "Examples:
  stockline token --role manager
  stockline token --role staff --subject anna --location store-12 --ttl 12h
  stockline token --till till-3 --location store-12 --ttl 400d
  stockline token list
  stockline token revoke --subject till-3

Only the JWT is printed, so: export STOCKLINE_TOKEN=$(stockline token --role manager)";

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TokenCommand>,
    /// A person's role
    #[arg(long, value_enum, required_unless_present = "till")]
    pub(crate) role: Option<Role>,
    /// A machine's name: the token submits as Staff and reads the status of commands
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "subject"])]
    pub(crate) till: Option<String>,
    /// Who it is, a code such as an employee's number [default: the role]
    #[arg(long, value_name = "CODE")]
    pub(crate) subject: Option<String>,
    /// Acts only there; may be given several times
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) locations: Vec<LocationId>,
    /// For how long it is good
    #[arg(long, value_name = "SPAN", default_value = "12h")]
    pub(crate) ttl: Span,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List the tokens that were made (never their text)
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArg,
    },
    /// Take tokens back, by jti or all of a subject
    Revoke {
        /// The jti of `token list`
        #[arg(value_name = "JTI", required_unless_present = "subject")]
        jti: Vec<String>,
        /// All valid tokens of this subject or till
        #[arg(long, value_name = "CODE")]
        subject: Option<String>,
        #[command(flatten)]
        data: DataArg,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Sign with new keys from now on; the old ones go on verifying while tokens and receipts need them
    Rotate {
        /// After a leak: the old signing keys end at once, and with them every token
        #[arg(long)]
        drop_old: bool,
        #[command(flatten)]
        data: DataArg,
    },
}

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
    #[command(after_help = "Examples:
  stockline locations put store-12 --name \"Main Street\" --time-zone Europe/Berlin --alert-email boss@example.com
  zcat sales.csv.gz | tail -n +2 | cut -d, -f2 | sort -u | xargs stockline locations put --time-zone America/New_York")]
    Put {
        /// Their ids
        #[arg(required = true, value_name = "LOCATION")]
        location_ids: Vec<LocationId>,
        /// What people call it [default: its id]
        #[arg(long)]
        name: Option<String>,
        /// IANA name; mails give local time in it
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
        /// Who gets its alerts; may be given several times
        #[arg(long = "alert-email", value_name = "ADDRESS")]
        alert_emails: Vec<String>,
        /// It takes no new movements
        #[arg(long)]
        closed: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example, from cron:\n  stockline backup --data /var/lib/stockline /backup/stockline-$(date +%F).tar"
)]
pub(crate) struct BackupArgs {
    /// The file to write; one that exists is replaced when the new one is whole
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A file that `backup` wrote
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List those that wait for a decision
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Queue one again, e.g. after an upgrade that can apply it
    Retry(DeadLetterArgs),
    /// Mark one as never to be applied; it is kept
    Discard(DeadLetterArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeadLetterArgs {
    /// Its item
    pub(crate) item_id: ItemId,
    /// Its id
    pub(crate) command_id: CommandId,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Send a test mail the way alerts go
    Test {
        /// To whom [default: every --alert-email]
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        #[command(flatten)]
        mail: MailArgs,
        #[command(flatten)]
        data: DataArg,
    },
}

/// A time option, with the domain's own error text.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>().map_err(|error| error.to_string())
}

/// Puts `serve` where no subcommand is given, so that its options may stand alone.
pub(crate) fn with_default_subcommand(mut arguments: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy().into_owned());
    let serves = first
        .as_deref()
        .is_none_or(|first| first.starts_with('-') && !matches!(first, "-h" | "--help" | "-V" | "--version"));
    if serves {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

/// The variables that this program reads: one that begins like them and is none of them is a slip.
pub(crate) const VARIABLES: [&str; 22] = [
    "STOCKLINE_ALERT_EMAIL",
    "STOCKLINE_CA_CERT",
    "STOCKLINE_DATA",
    "STOCKLINE_INSECURE_HTTP",
    "STOCKLINE_LATE_COUNT_HOURS",
    "STOCKLINE_LISTEN",
    "STOCKLINE_LOG",
    "STOCKLINE_LOGINS",
    "STOCKLINE_LOG_JSON",
    "STOCKLINE_MAIL_FROM",
    "STOCKLINE_MAX_AGE_DAYS",
    "STOCKLINE_METRICS_LISTEN",
    "STOCKLINE_PUBLIC_URL",
    "STOCKLINE_RATE_LIMIT",
    "STOCKLINE_REQUIRE_LOCATION",
    "STOCKLINE_SMTP_URL",
    "STOCKLINE_STAFF_MAY",
    "STOCKLINE_TLS_CERT",
    "STOCKLINE_TLS_KEY",
    "STOCKLINE_TOKEN",
    "STOCKLINE_TOKEN_FILE",
    "STOCKLINE_URL",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;

    fn variables_of(command: &clap::Command, found: &mut BTreeSet<String>) {
        let named = command.get_arguments().filter_map(clap::Arg::get_env);
        found.extend(named.map(|name| name.to_string_lossy().into_owned()));
        for sub in command.get_subcommands() {
            variables_of(sub, found);
        }
    }

    #[test]
    fn the_command_line_is_sound_and_every_variable_is_known() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut found = BTreeSet::new();
        variables_of(&command, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), VARIABLES);
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        let parse = |words: &[&str]| {
            Cli::try_parse_from(with_default_subcommand(words.iter().map(Into::into).collect())).unwrap().command
        };
        assert!(matches!(parse(&["stockline"]), Command::Serve(_)));
        let Command::Serve(serve) = parse(&["stockline", "--data", "x", "--max-age-days", "5000"]) else { panic!() };
        assert_eq!((serve.data.data, serve.max_age_days), ("x".into(), 5_000));
        assert!(matches!(parse(&["stockline", "audit"]), Command::Audit(_)));
        let help = with_default_subcommand(vec!["stockline".into(), "--help".into()]);
        assert_eq!(Cli::try_parse_from(help).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn a_token_is_for_a_person_or_a_till() {
        let parse = |words: &[&str]| Cli::try_parse_from(words);
        assert!(parse(&["stockline", "token"]).is_err());
        assert!(parse(&["stockline", "token", "--role", "manager", "--till", "a"]).is_err());
        assert!(parse(&["stockline", "token", "--role", "till"]).is_err());
        assert!(parse(&["stockline", "token", "--till", "a", "--ttl", "400d", "--location", "12"]).is_ok());
        assert!(parse(&["stockline", "token", "list"]).is_ok());
        assert!(parse(&["stockline", "token", "revoke"]).is_err());
    }
}
