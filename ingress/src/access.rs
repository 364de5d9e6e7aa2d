//! The caller of a request: its token is checked before the handler runs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use stockline_core::domain::{Command, LocationId, Reach, Timestamp, Trace};

use crate::app::App;
use crate::auth::{Principal, Refusal, SubmitAs};
use crate::problem::{Problem, codes};
use crate::staff_may::StaffMay;
use crate::view::Viewer;

/// The caller of a request. A handler with this argument runs only if the token is valid and names a role.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    principal: Principal,
    trace: Option<Trace>,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let principal = app.token_check.check(parts.headers.get(AUTHORIZATION)).await.map_err(refused)?;
        Ok(Self { principal, trace: parts.extensions.get().cloned() })
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unauthorized(error) => Problem::unauthorized(error),
        Refusal::TooFast { per_s, wait_s } => {
            let detail =
                format!("a token may make {per_s} requests a second here; send the request again in {wait_s} s");
            Problem::new(codes::RATE_LIMITED, detail).with_retry_after(wait_s)
        }
        Refusal::Forbidden(forbidden) => Problem::forbidden(forbidden),
    }
}

impl Caller {
    /// Returns the token's `sub` or `client_id`.
    pub(crate) fn submitted_by(&self) -> Arc<str> {
        Arc::clone(&self.principal.submitted_by)
    }

    /// Returns whose turn it is if this caller reads a list.
    pub(crate) const fn subject(&self) -> &Arc<str> {
        &self.principal.submitted_by
    }

    /// Returns what the logs of this request are found by; its commands carry it on.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.trace.clone()
    }

    /// Returns what the caller may see.
    pub(crate) fn viewer(&self) -> Viewer {
        let rights = &self.principal.rights;
        Viewer {
            submits_as: self.submitted_by(),
            costs: rights.may_read_costs().is_ok(),
            settings: rights.may_manage_settings().is_ok(),
            locations: rights.visible_locations().cloned(),
        }
    }

    /// Returns what the caller may take back; `None` if it may take back everything.
    pub(crate) fn reach(&self, accepted_at: Timestamp, staff_may: &StaffMay) -> Option<Reach> {
        self.principal.rights.reach(accepted_at, staff_may)
    }

    /// May the caller submit this command?
    pub(crate) fn may_submit(&self, command: &Command, staff_may: &StaffMay) -> Result<(), Problem> {
        self.principal.rights.may_submit(command, staff_may).map_err(Problem::forbidden)
    }

    /// May the caller read stock, items, movements, alerts and refused commands? Its [`Viewer`] decides which of them.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        self.principal.rights.may_read().map_err(Problem::forbidden)
    }

    /// May the caller read analytics? Its [`Viewer`] decides of which locations.
    pub(crate) fn may_read_analytics(&self) -> Result<(), Problem> {
        self.principal.rights.may_read_costs().map_err(Problem::forbidden)
    }

    /// May the caller read the status of commands?
    pub(crate) fn may_read_status(&self) -> Result<(), Problem> {
        self.principal.rights.may_read_status().map_err(Problem::forbidden)
    }

    /// May the caller read what belongs to this location?
    pub(crate) fn may_read_location(&self, location_id: &LocationId) -> Result<(), Problem> {
        self.principal.rights.may_read_location(location_id).map_err(Problem::forbidden)
    }

    /// May the caller decide about refused commands: resubmit or dismiss them?
    pub(crate) fn may_decide_refused(&self) -> Result<(), Problem> {
        if self.principal.rights.submit == SubmitAs::Manager {
            return Ok(());
        }
        Err(Problem::new(
            codes::FORBIDDEN,
            "only the group Manager or the scope stockline/manage may resubmit or dismiss commands",
        ))
    }

    /// May the caller import files? An import also tells what the store has, costs too.
    pub(crate) fn may_import(&self) -> Result<(), Problem> {
        self.principal.rights.may_import().map_err(Problem::forbidden)
    }

    /// May the caller see, register and change clients?
    pub(crate) fn may_manage_clients(&self) -> Result<(), Problem> {
        self.principal.rights.may_manage_clients().map_err(Problem::forbidden)
    }

    /// May the caller change the settings of this location, or register it?
    pub(crate) fn may_manage_location(&self, location_id: &LocationId, exists: bool) -> Result<(), Problem> {
        let rights = &self.principal.rights;
        let may = if exists { rights.may_manage_location(location_id) } else { rights.may_manage_settings() };
        may.map_err(Problem::forbidden)
    }
}
