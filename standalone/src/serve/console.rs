//! The console in this home: people sign in by one-time links.

use std::io::IsTerminal as _;
use std::sync::Arc;

use async_trait::async_trait;
use stockline_console::people::{Grant, Issued, People, PeopleError, Role as ConsoleRole, SignIn, Token};
use stockline_console::{Config, Metrics, SessionKeys};
use stockline_core::domain::{LocationId, ReceiptKeys, Timestamp};
use stockline_core::ports::Clock;
use stockline_ingress::auth::FilesChanged;

use super::Setup;
use super::upkeep::Machine;
use crate::args::Role;
use crate::folder::Folder;
use crate::issuer::keys::Keys;
use crate::issuer::links;
use crate::issuer::tokens::{self, TokenRequest};

/// How long a person's session is valid, in seconds.
const SESSION_S: u64 = 30 * 24 * 3_600;
/// How long a till's token is valid, in seconds.
const TILL_S: u64 = 400 * 24 * 3_600;

/// Returns the address of the console's first page.
pub(crate) fn root(setup: &Setup) -> String {
    let (public, base) = (setup.public.trim_end_matches('/'), setup.args.base_path.as_str());
    let base = if public.ends_with(base) { "" } else { base };
    format!("{public}{base}/console")
}

/// Returns the console's configuration.
pub(crate) fn config(setup: &Setup, receipt_keys: &ReceiptKeys, clock: Arc<dyn Clock>) -> Config {
    let people = Links {
        folder: setup.folder.clone(),
        changed: setup.changed.clone(),
        clock: Arc::clone(&clock),
        console: root(setup),
    };
    Config {
        base: setup.args.base_path.as_str().to_owned(),
        public: setup.public.clone(),
        keys: SessionKeys::of(receipt_keys),
        sign_in: SignIn::Links(Arc::new(people)),
        staff_may_count: setup.staff_may.count,
        metrics: Some(Metrics::new({
            let metrics = setup.metrics.clone();
            move || metrics.render()
        })),
        upkeep: Some(Arc::new(Machine(setup.folder.clone()))),
        lately: Some(Arc::clone(&setup.lately)),
        clock,
    }
}

/// Makes the link that the welcome text shows: on a new folder, and wherever somebody reads it. A log that keeps the text
/// must not keep a way in.
pub(crate) fn first_link(setup: &Setup, is_new: bool, now: Timestamp) -> Option<String> {
    if !is_new && !std::io::stdout().is_terminal() {
        return None;
    }
    let owner = TokenRequest {
        role: Role::Manager,
        write_only: false,
        subject: "owner".into(),
        locations: Vec::new(),
        ttl_s: SESSION_S,
    };
    match links::make(&setup.folder, &owner, now) {
        Ok(code) => Some(links::address(&root(setup), &code)),
        Err(error) => {
            tracing::warn!("no sign-in link could be made: {error:#}");
            None
        }
    }
}

/// The issuer of this folder, for the console.
#[derive(Debug)]
struct Links {
    folder: Folder,
    changed: FilesChanged,
    clock: Arc<dyn Clock>,
    /// The address of the console, for links.
    console: String,
}

impl Links {
    /// Works with the files of the folder.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder, Timestamp) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, PeopleError> {
        let (folder, now) = (self.folder.clone(), self.clock.now());
        let done = tokio::task::spawn_blocking(move || work(&folder, now)).await;
        // A part of it may be done also where it failed.
        self.changed.tell();
        done.map_err(anyhow::Error::from).flatten().map_err(|error| PeopleError(format!("{error:#}")))
    }
}

#[async_trait]
impl People for Links {
    async fn whom(&self, code: &str) -> Result<Option<Grant>, PeopleError> {
        let code = code.to_owned();
        Ok(self.with(move |folder, now| links::whom(folder, &code, now)).await?.map(grant))
    }

    async fn redeem(&self, code: &str) -> Result<Option<Token>, PeopleError> {
        let code = code.to_owned();
        Ok(self.with(move |folder, now| links::redeem(folder, &code, now)).await?.map(|token| Token(token.jwt)))
    }

    async fn sign_out(&self, token: &str) -> Result<(), PeopleError> {
        let Some(id) = tokens::id_of(token) else { return Ok(()) };
        self.with(move |folder, now| tokens::revoke(folder, &[id], None, now).map(drop)).await
    }

    fn id_of(&self, token: &str) -> Option<String> {
        tokens::id_of(token)
    }

    async fn issued(&self) -> Result<Vec<Issued>, PeopleError> {
        let all = self.with(tokens::issued).await?;
        let valid = all.into_iter().rev().filter(|(_, state)| *state == "valid");
        Ok(valid.map(|(token, _)| listed(&token)).collect())
    }

    async fn invite(&self, grant: &Grant) -> Result<String, PeopleError> {
        let role = if grant.role == ConsoleRole::Manager { Role::Manager } else { Role::Staff };
        let request = request(role, &grant.subject, &grant.locations, SESSION_S)?;
        let code = self.with(move |folder, now| links::make(folder, &request, now)).await?;
        Ok(links::address(&self.console, &code))
    }

    async fn connect_till(&self, name: &str, locations: &[String]) -> Result<Token, PeopleError> {
        let request = request(Role::Till, name, locations, TILL_S)?;
        let made = self.with(move |folder, now| tokens::issue(&Keys::open(folder)?, &request, now)).await?;
        Ok(Token(made.jwt))
    }

    async fn revoke(&self, id: &str) -> Result<(), PeopleError> {
        let id = id.to_owned();
        self.with(move |folder, now| tokens::revoke(folder, &[id], None, now).map(drop)).await
    }
}

fn request(role: Role, subject: &str, locations: &[String], ttl_s: u64) -> Result<TokenRequest, PeopleError> {
    let location = |id: &String| id.parse::<LocationId>().map_err(|error| PeopleError(format!("the location {error}")));
    let locations = locations.iter().map(location).collect::<Result<_, _>>()?;
    Ok(TokenRequest { role, write_only: false, subject: subject.to_owned(), locations, ttl_s })
}

fn listed(token: &tokens::Issued) -> Issued {
    Issued {
        id: token.jti.clone(),
        subject: token.subject.clone(),
        role: token.role_name().to_owned(),
        is_till: token.role == Role::Till,
        locations: token.locations.iter().map(LocationId::to_string).collect(),
        expires_at: token.expires_at.to_string(),
    }
}

fn grant(request: TokenRequest) -> Grant {
    Grant {
        role: if request.role == Role::Manager { ConsoleRole::Manager } else { ConsoleRole::Staff },
        subject: request.subject,
        locations: request.locations.iter().map(LocationId::to_string).collect(),
    }
}
