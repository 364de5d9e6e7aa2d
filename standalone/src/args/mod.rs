//! The command line in clap's types: subcommands, options, help texts and environment variables.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};
use stockline_core::domain::{CommandKind, Timestamp};

use crate::exit;

mod clients;
mod console;
mod demo;
mod export;
mod import;
mod install;
mod load;
mod locations;
mod login;
mod read;
mod report;
mod serve;
mod submit;
mod tls;
mod tokens;
mod upkeep;

pub(crate) use clients::{ClientSettingsArgs, ClientsCommand};
pub(crate) use console::{ConsoleCommand, LinkArgs};
pub(crate) use demo::DemoArgs;
pub(crate) use export::ExportArgs;
pub(crate) use import::ImportArgs;
pub(crate) use install::{CompletionsArgs, ManArgs};
pub(crate) use load::LoadArgs;
pub(crate) use locations::{LocationChanges, LocationsCommand};
pub(crate) use login::{LoginArgs, ServerArgs};
pub(crate) use read::{
    AlertsArgs, HistoryArgs, ItemsArgs, ListArgs, RefusedArgs, ScanArgs, StateFilter, StatusArgs, StockArgs,
};
pub(crate) use report::ReportArgs;
pub(crate) use serve::{MailArgs, ServeArgs};
pub(crate) use submit::{Kind, OutcomeArgs, ReverseArgs, SubmitArgs};
#[cfg(test)]
pub(crate) use tls::SelfSignedArgs;
pub(crate) use tls::TlsCommand;
pub(crate) use tokens::{KeysCommand, Role, TokenArgs, TokenCommand};
pub(crate) use upkeep::{
    AuditArgs, BackupArgs, ClockArgs, DeadLetterArgs, DeadLettersCommand, FolderCommand, MailCommand, RestoreArgs,
};

/// The address that the server listens at by default, and where a client looks for it by default.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

const EXIT_CODES: &str = "Exit codes:
  0  success
  1  something is wrong or was refused; the text says what
  2  the command line is invalid
  3  the server or another service is unavailable now; the same command may work later
  4  load: nothing of the file is new, every line took effect earlier

You can set every option that names a variable STOCKLINE_… in the environment instead.";

/// Stock for shops and chains: tills submit commands; every command is applied exactly once, in order per item.
///
/// Without a subcommand it serves: `stockline` is `stockline serve`.
#[derive(Debug, Parser)]
#[command(name = "stockline", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Whether errors are JSON, as the output is.
    #[arg(skip)]
    pub(crate) as_json: bool,
}

impl Cli {
    /// Parses the process's arguments. Prints the help and exits where they ask for it.
    ///
    /// # Errors
    /// The arguments are invalid, and it has printed why.
    pub fn of_process() -> Result<Self, ExitCode> {
        let arguments = with_default_subcommand(std::env::args_os().collect());
        let as_json = arguments.iter().any(|argument| argument == "--json");
        match Self::try_parse_from(arguments) {
            Ok(cli) => Ok(Self { as_json, ..cli }),
            Err(error) if as_json && error.use_stderr() => Err(exit::print_usage_json(&with_tip(error))),
            Err(error) => with_tip(error).exit(),
        }
    }
}

/// Tells whoever gives a type of command in the place of a subcommand how it is submitted.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let kind = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => CommandKind::ALL.into_iter().find(|kind| kind.as_str() == word),
        _ => None,
    };
    if let Some(kind) = kind {
        let tip = format!("it is submitted: stockline submit {} --item ITEM …", kind.as_str());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API, apply commands and mail alerts until SIGTERM or Ctrl-C (the default)
    Serve(Box<ServeArgs>),
    /// Issue an access token and print it; list and revoke issued tokens
    Token(TokenArgs),
    /// Log in to a server on another machine through the browser; the other subcommands then use the login's token
    Login(LoginArgs),
    /// Forget a login
    Logout(ServerArgs),
    /// Manage the keys that sign tokens and receipts
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Submit one command and wait for its outcome
    Submit(Box<SubmitArgs>),
    /// Take back a movement that was a mistake, and wait for the outcome
    Reverse(Box<ReverseArgs>),
    /// Submit every line of a CSV file (also .gz) as a command
    Load(Box<LoadArgs>),
    /// Import a spreadsheet (CSV, TSV, XLSX): items, opening stock, counts, thresholds or locations
    Import(Box<ImportArgs>),
    /// Export a whole list as CSV or as lines of JSON: items, stock, movements, commands or alerts
    Export(ExportArgs),
    /// List the items, or search them by name, barcode or category
    Items(ItemsArgs),
    /// Show what a scanned code means: the item, the quantity, and what else its label says
    Scan(ScanArgs),
    /// Show the stock
    Stock(StockArgs),
    /// Show the outcome of a command
    Status(StatusArgs),
    /// Show an item's movements, newest first
    History(HistoryArgs),
    /// Show refused commands, newest first; --resubmit sends them again
    Refused(Box<RefusedArgs>),
    /// Show alerts, newest first
    Alerts(AlertsArgs),
    /// Show what sells, what runs out, what to order, what is lost
    Report(Box<ReportArgs>),
    /// List locations, create or change them
    #[command(subcommand)]
    Locations(LocationsCommand),
    /// List the clients of tills and programs of a server on AWS, register them, or cut off a stolen till
    #[command(subcommand)]
    Clients(ClientsCommand),
    /// Prove, level by level, that the ledger explains the stock; works while the server runs
    Audit(AuditArgs),
    /// Copy a data folder into one file; works while the server runs
    Backup(BackupArgs),
    /// Create a data folder from a backup; --check only checks the backup
    Restore(RestoreArgs),
    /// Show what belongs to a data folder, or put an empty part in the place of a lost one
    #[command(subcommand)]
    Folder(FolderCommand),
    /// List, retry or discard commands that could not be applied and were set aside
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Show the time of the running server, and confirm it if the machine's clock has stepped
    Clock(ClockArgs),
    /// Sign people in to the console, the pages at /console
    #[command(subcommand)]
    Console(ConsoleCommand),
    /// Serve a demo shop that can be thrown away: 200 products, 2 locations, 90 days of sales
    Demo(DemoArgs),
    /// Check that mails can be sent
    #[command(subcommand)]
    Mail(MailCommand),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the man pages into a folder
    Man(ManArgs),
    /// Make a certificate for HTTPS in the local network
    #[command(subcommand)]
    Tls(TlsCommand),
}

/// The data folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArg {
    /// The folder that holds everything: queue, stock, keys, mails
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_DATA", default_value = "./stockline-data")]
    pub(crate) data: PathBuf,
}

/// The server that a client subcommand talks to, and its credentials.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The server's address [default: the address of the data folder's server, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "STOCKLINE_URL")]
    pub(crate) url: Option<String>,
    /// An access token [default: the token of `stockline login`; for the data folder's server, a manager's token for
    /// 15 minutes, signed with the folder's keys]
    #[arg(long, value_name = "JWT", env = "STOCKLINE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A file that holds an access token
    #[arg(long, value_name = "FILE", env = "STOCKLINE_TOKEN_FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
    /// The folder in which `stockline login` keeps logins [default: ~/.config/stockline/logins]
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_LOGINS")]
    pub(crate) logins: Option<PathBuf>,
    /// A certificate (PEM) to trust besides the system's, for a server with its own certificate
    #[arg(long, value_name = "PEM", env = "STOCKLINE_CA_CERT")]
    pub(crate) ca_cert: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Parses a time option; the domain writes the error text.
fn time(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>().map_err(|error| error.to_string())
}

/// Inserts `serve` where no subcommand is given, so that its options work alone.
fn with_default_subcommand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy().into_owned());
    let serves = first
        .as_deref()
        .is_none_or(|first| first.starts_with('-') && !matches!(first, "-h" | "--help" | "-V" | "--version"));
    if serves {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

/// The environment variables that this program reads. Any other name with this prefix is a typing error.
pub(crate) const VARIABLES: [&str; 28] = [
    "STOCKLINE_ALERT_EMAIL",
    "STOCKLINE_BASE_PATH",
    "STOCKLINE_CA_CERT",
    "STOCKLINE_CORS_ORIGIN",
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
    "STOCKLINE_OTLP_ENDPOINT",
    "STOCKLINE_PUBLIC_URL",
    "STOCKLINE_RATE_LIMIT",
    "STOCKLINE_REQUIRE_LOCATION",
    "STOCKLINE_SCALE_LABELS",
    "STOCKLINE_SMTP_CA_CERT",
    "STOCKLINE_SMTP_HELLO",
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
    fn a_type_of_command_in_the_place_of_a_subcommand_is_told_how_it_is_submitted() {
        let told = |word: &str| with_tip(Cli::try_parse_from(["stockline", word, "cola"]).unwrap_err()).to_string();
        // `reverse` is a subcommand itself.
        for kind in CommandKind::ALL.iter().filter(|kind| **kind != CommandKind::Reverse).map(|kind| kind.as_str()) {
            let text = told(kind);
            assert!(text.contains(&format!("stockline submit {kind} --item")), "{text}");
        }
        assert!(!told("sel").contains("submit sel"), "{}", told("sel"));
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
