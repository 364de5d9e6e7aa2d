//! Who calls: the token of a request, judged before its handler runs.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use stockline_core::domain::{Command, LocationId};

use crate::app::App;
use crate::auth::{Authenticator, Principal};
use crate::problem::{Problem, codes};
use crate::rate::RateLimiter;
use crate::view::Viewer;
use crate::{Limits, StaffMay};

/// What lets requests in.
#[derive(Debug)]
pub(crate) struct Gate {
    auth: Arc<Authenticator>,
    /// `None`: not limited.
    rate: Option<RateLimiter>,
}

impl Gate {
    pub(crate) fn new(auth: Arc<Authenticator>, limits: &Limits) -> Self {
        let per_s = limits.rate_per_s.and_then(NonZeroU32::new);
        Self { auth, rate: per_s.map(|per_s| RateLimiter::new(per_s, limits.rate_burst)) }
    }

    /// Can it judge tokens yet?
    pub(crate) fn is_ready(&self) -> bool {
        self.auth.is_ready()
    }
}

/// The caller of a request: a handler that takes one is reached only with a good token that names a role.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Principal);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let principal =
            app.gate.auth.authenticate(parts.headers.get(AUTHORIZATION)).await.map_err(Problem::unauthorized)?;
        if let Some(rate) = &app.gate.rate
            && let Err(wait_s) = rate.take(principal.token_hash)
        {
            let per_s = app.limits.rate_per_s.unwrap_or_default();
            let detail = format!("a token may make {per_s} requests a second here; send it again in {wait_s} s");
            return Err(Problem::new(codes::RATE_LIMITED, detail).with_retry_after(wait_s));
        }
        // Before anything of the request is looked at: a token without a role learns nothing, line by line neither.
        principal.rights.has_role().map_err(Problem::forbidden)?;
        Ok(Self(principal))
    }
}

impl Caller {
    /// The token's `sub` or `client_id`.
    pub(crate) fn submitted_by(&self) -> Arc<str> {
        Arc::clone(&self.0.submitted_by)
    }

    /// What it may see.
    pub(crate) fn viewer(&self) -> Viewer {
        let rights = &self.0.rights;
        Viewer {
            submits_as: self.submitted_by(),
            costs: rights.may_read_costs().is_ok(),
            settings: rights.may_manage_settings().is_ok(),
            locations: rights.visible_locations().cloned(),
        }
    }

    /// May it submit this command?
    pub(crate) fn may_submit(&self, command: &Command, staff_may: &StaffMay) -> Result<(), Problem> {
        self.0.rights.may_submit(command, staff_may).map_err(Problem::forbidden)
    }

    /// May it read stock, items, movements, alerts, refused commands? What of them it sees is its [`Viewer`]'s matter.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        self.0.rights.may_read().map_err(Problem::forbidden)
    }

    /// May it read the status of commands?
    pub(crate) fn may_read_status(&self) -> Result<(), Problem> {
        self.0.rights.may_read_status().map_err(Problem::forbidden)
    }

    /// May it read what belongs to this location?
    pub(crate) fn may_read_location(&self, location_id: &LocationId) -> Result<(), Problem> {
        self.0.rights.may_read_location(location_id).map_err(Problem::forbidden)
    }

    /// May it resubmit refused commands?
    pub(crate) fn may_resubmit(&self) -> Result<(), Problem> {
        if self.0.rights.submit == crate::auth::SubmitAs::Manager {
            return Ok(());
        }
        Err(Problem::new(codes::FORBIDDEN, "resubmitting is for the group Manager or the scope stockline/manage"))
    }

    /// May it change the settings of this location, or register it?
    pub(crate) fn may_manage_location(&self, location_id: &LocationId, exists: bool) -> Result<(), Problem> {
        let rights = &self.0.rights;
        let may = if exists { rights.may_manage_location(location_id) } else { rights.may_manage_settings() };
        may.map_err(Problem::forbidden)
    }
}
