//! `login` and `logout`.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use reqwest::Url;
use reqwest::redirect::Policy;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::args::{LoginArgs, ServerArgs};
use crate::client::{Client, Request};
use crate::exit::{self, Usage};
use crate::http;
use crate::login::{Callback, Endpoints, Grant, Login, Logins, Proof, TokenError, origin, request_tokens};
use crate::problem::Problem;

/// Runs `stockline login`.
pub(crate) async fn login(args: &LoginArgs) -> anyhow::Result<u8> {
    let server = http::address(&args.server.url)?;
    if !http::is_private(&server) {
        return Err(
            Usage(format!("{server} is plain http, where anyone on the way can read the token: use https")).into()
        );
    }
    let logins = Logins::at(args.server.logins.as_deref())?;
    let ca_cert = args.ca_cert.as_deref();
    let endpoints = Endpoints::of_server(&http::client(&server, ca_cert, Policy::none())?, &server).await?;
    let callback = Callback::listen(args.port).await?;
    let redirect_uri = callback.redirect_uri();
    let proof = Proof::new()?;
    let address = endpoints.address(&redirect_uri, &proof);
    output::line(format_args!("To log in, open this address in a browser on this machine:\n\n  {address}\n"))?;
    if !args.no_browser {
        open_browser(&address);
    }
    output::line(format_args!("Waiting for the answer at {redirect_uri}, for {} s …", args.timeout.seconds()))?;
    let code = callback.code(&proof.state, args.timeout.0).await?;
    let issuer = http::client(&endpoints.token, ca_cert, Policy::none())?;
    let grant = Grant::Code { code: &code, redirect_uri: &redirect_uri, verifier: &proof.verifier };
    let requested = request_tokens(&issuer, &endpoints.token, &endpoints.client_id, &grant, SystemClock.now()).await;
    let tokens = match requested {
        Ok(tokens) => tokens,
        Err(TokenError::Unavailable(error)) => return Err(error.into()),
        Err(refused @ TokenError::Refused(_)) => return Err(refused.into()),
    };
    let login = Login::new(&server, &endpoints, tokens);
    check_accepted(&server, &login, ca_cert).await?;
    logins.store(&server, &login)?;
    let lasts = if login.refresh_token.is_some() { "renewed automatically from" } else { "valid until" };
    output::line(format_args!("Logged in to {}, {lasts} {}.", login.server, login.expires_at))?;
    Ok(exit::OK)
}

/// Checks that the server accepts the token, so that not the first command finds out. A server that can't be reached now
/// does not lose the login.
async fn check_accepted(server: &Url, login: &Login, ca_cert: Option<&Path>) -> anyhow::Result<()> {
    let client = Client::with_token(server, login.access_token.clone(), ca_cert)?;
    match client.send(&Request::get("/v1/stock").query("limit", Some(1))).await {
        Err(error) if error.downcast_ref::<Problem>().is_some_and(Problem::is_denial) => {
            Err(error).with_context(|| format!("the login knows you, but {server} gives you no access"))
        }
        _ => Ok(()),
    }
}

/// Runs `stockline logout`.
pub(crate) fn logout(args: &ServerArgs) -> anyhow::Result<u8> {
    let server = http::address(&args.url)?;
    if Logins::at(args.logins.as_deref())?.remove(&server)? {
        output::line(format_args!("Logged out of {}.", origin(&server)))?;
    } else {
        output::line(format_args!("There was no login to {}.", origin(&server)))?;
    }
    Ok(exit::OK)
}

/// Tries to open a browser. A failure is not fatal, because the address was printed.
fn open_browser(address: &Url) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = tokio::process::Command::new(opener)
        .arg(address.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        output::note(format_args!("can't start a browser ({opener}: {error}): open the address yourself"));
    }
}
