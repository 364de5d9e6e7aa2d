//! The console in this home: people sign in by one-time links.

use std::io::IsTerminal as _;
use std::sync::Arc;

use async_trait::async_trait;
use stockline_console::people::{Grant, People, PeopleError, Role as ConsoleRole, SignIn, Token};
use stockline_console::{Config, SessionKeys};
use stockline_core::domain::{LocationId, ReceiptKeys, Timestamp};
use stockline_core::ports::Clock;
use stockline_ingress::auth::FilesChanged;

use super::Setup;
use crate::args::Role;
use crate::folder::Folder;
use crate::issuer::links;
use crate::issuer::tokens::{self, TokenRequest};

/// How long the owner's session is valid that the link of the first start begins, in seconds.
const OWNER_S: u64 = 30 * 24 * 3_600;

/// Returns the address of the console's first page.
pub(crate) fn root(setup: &Setup) -> String {
    let (public, base) = (setup.public.trim_end_matches('/'), setup.args.base_path.as_str());
    let base = if public.ends_with(base) { "" } else { base };
    format!("{public}{base}/console")
}

/// Returns the console's configuration.
pub(crate) fn config(setup: &Setup, receipt_keys: &ReceiptKeys, clock: Arc<dyn Clock>) -> Config {
    let people =
        Links { folder: setup.folder.clone(), changed: setup.changed.clone(), clock: Arc::clone(&clock) };
    Config {
        base: setup.args.base_path.as_str().to_owned(),
        public: setup.public.clone(),
        keys: SessionKeys::of(receipt_keys),
        sign_in: SignIn::Links(Arc::new(people)),
        staff_may_count: setup.staff_may.count,
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
        ttl_s: OWNER_S,
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
}

fn grant(request: TokenRequest) -> Grant {
    Grant {
        role: if request.role == Role::Manager { ConsoleRole::Manager } else { ConsoleRole::Staff },
        subject: request.subject,
        locations: request.locations.iter().map(LocationId::to_string).collect(),
    }
}
