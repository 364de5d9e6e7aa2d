//! `login`: a person's token by OAuth 2 (RFC 6749), with PKCE (RFC 7636) and a callback on this machine (RFC 8252).

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;
use reqwest::redirect::Policy;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;

use crate::client::{Client, Problem, Request};
use crate::duration::Span;
use crate::exit::{self, Usage};
use crate::http;

mod callback;
mod kept;
mod oauth;
mod proof;
mod session;

use callback::Callback;
use kept::{Login, Logins};
use oauth::{Endpoints, Grant, NoTokens};
use proof::Proof;
pub(crate) use session::{NoToken, Session};

/// Where the browser brings the answer unless told otherwise. It is registered with the login's client, port and all.
pub(crate) const DEFAULT_PORT: u16 = 8_976;

/// Options of `login`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline login --url https://stock.example.com
  stockline login --url https://stock.example.com --no-browser
  stockline stock --url https://stock.example.com

The address http://localhost:8976/callback must be registered with the login's client; with --port, that port's. On
a machine without a browser: ssh -L 8976:127.0.0.1:8976 to it, log in there with --no-browser, and open the printed
address here.")]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A certificate (PEM) to trust besides the system's
    #[arg(long, value_name = "PEM", env = "STOCKLINE_CA_CERT")]
    ca_cert: Option<PathBuf>,
    /// Where the browser brings the answer on this machine; 0: any free port
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Only print the address, start no browser
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the login in the browser
    #[arg(long, value_name = "SPAN", default_value = "300s")]
    timeout: Span,
}

/// Which server's login.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(long, value_name = "URL", env = "STOCKLINE_URL")]
    url: String,
    /// The folder that logins are kept in, readable by you only [default: ~/.config/stockline/logins]
    #[arg(long, value_name = "FOLDER", env = "STOCKLINE_LOGINS")]
    logins: Option<PathBuf>,
}

/// What to do where a login is over.
fn again(server: &Url) -> String {
    format!("log in again with stockline login --url {}", kept::origin(server))
}

/// `stockline login`
pub(crate) async fn login(args: &LoginArgs) -> anyhow::Result<u8> {
    let server = http::address(&args.server.url)?;
    if !http::is_private(&server) {
        return Err(Usage(format!("{server} is plain http: anyone on the way could read the token; use https")).into());
    }
    let logins = Logins::at(args.server.logins.as_deref())?;
    let ca_cert = args.ca_cert.as_deref();
    let endpoints = Endpoints::of_server(&http::client(&server, ca_cert, Policy::none())?, &server).await?;
    let callback = Callback::listen(args.port).await?;
    let redirect_uri = callback.redirect_uri();
    let proof = Proof::new()?;
    let address = endpoints.address(&redirect_uri, &proof);
    println!("To log in, open this address in a browser on this machine:\n\n  {address}\n");
    if !args.no_browser {
        open_browser(&address);
    }
    println!("Waiting for the answer at {redirect_uri}, for {} s …", args.timeout.seconds());
    let code = callback.code(&proof.state, args.timeout.0).await?;
    let issuer = http::client(&endpoints.token, ca_cert, Policy::none())?;
    let grant = Grant::Code { code: &code, redirect_uri: &redirect_uri, verifier: &proof.verifier };
    let asked = oauth::ask(&issuer, &endpoints.token, &endpoints.client_id, &grant, SystemClock.now()).await;
    let tokens = match asked {
        Ok(tokens) => tokens,
        Err(NoTokens::Unavailable(error)) => return Err(error.into()),
        Err(refused @ NoTokens::Refused(_)) => return Err(refused.into()),
    };
    let login = Login::new(&server, &endpoints, tokens);
    prove(&server, &login, ca_cert).await?;
    logins.keep(&server, &login)?;
    let lasts = if login.refresh_token.is_some() { "renewed by itself from" } else { "good until" };
    println!("Logged in to {}, {lasts} {}.", login.server, login.expires_at);
    Ok(exit::OK)
}

/// Does the server take the token? Better told now than by the first command. That it can't be asked is no reason to
/// lose a login.
async fn prove(server: &Url, login: &Login, ca_cert: Option<&std::path::Path>) -> anyhow::Result<()> {
    let client = Client::with_token(server, login.access_token.clone(), ca_cert)?;
    match client.send(&Request::get("/v1/stock").query("limit", Some(1))).await {
        Err(error) if error.downcast_ref::<Problem>().is_some_and(Problem::is_of_rights) => {
            Err(error).with_context(|| format!("you are known to the login, but not welcome at {server}"))
        }
        _ => Ok(()),
    }
}

/// `stockline logout`
pub(crate) fn logout(args: &ServerArgs) -> anyhow::Result<u8> {
    let server = http::address(&args.url)?;
    if Logins::at(args.logins.as_deref())?.forget(&server)? {
        println!("Logged out of {}.", kept::origin(&server));
    } else {
        println!("There was no login to {}.", kept::origin(&server));
    }
    Ok(exit::OK)
}

/// Tries to; the address was printed.
fn open_browser(address: &Url) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = tokio::process::Command::new(opener)
        .arg(address.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        eprintln!("no browser could be started ({opener}: {error}); open the address yourself");
    }
}
