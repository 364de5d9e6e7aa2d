//! The rights of a token (design.md §4, "Rights").

use std::collections::BTreeSet;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use stockline_core::domain::{Action, ClientRight, ClientSettings, Command, CommandKind, LocationId, Reach, Timestamp};

use crate::staff_may::StaffMay;

/// The prefix of scopes, which Cognito writes before the scopes of a resource server.
pub const RESOURCE_SERVER_PREFIX: &str = "stockline/";
/// The prefix of groups and scopes that bind a token to the location whose id follows.
pub const LOCATION_PREFIX: &str = "location.";

/// The role in which a token submits commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubmitAs {
    /// The token may not submit.
    Nobody,
    /// The token may submit `receive`, `sell`, `return` and `transfer`, and the commands that [`StaffMay`] adds.
    Staff,
    /// The token may submit every command.
    Manager,
}

/// The role in which a token reads; each includes the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadAs {
    /// The token may not read.
    Nobody,
    /// The token may read only the status of commands.
    CommandStatus,
    /// The token may read everything except `unit_cost`, analytics and settings.
    Staff,
    /// The token may read everything.
    Manager,
}

/// A missing right: HTTP 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Forbidden {
    /// One of [`Forbidden::CODES`].
    pub code: &'static str,
    /// Which right is missing, and who can grant it.
    pub detail: String,
}

impl Forbidden {
    /// The token is valid, but names no role.
    pub const NO_ROLE: &'static str = "no_role";
    /// The role may not submit this type of command.
    pub const COMMAND: &'static str = "forbidden_command";
    /// The token is bound to other locations.
    pub const LOCATION: &'static str = "forbidden_location";
    /// The role may not do this.
    pub const OTHER: &'static str = "forbidden";

    /// Every code.
    pub const CODES: [&'static str; 4] = [Self::NO_ROLE, Self::COMMAND, Self::LOCATION, Self::OTHER];

    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Returns the `WWW-Authenticate` of the answer (RFC 6750, section 3).
    pub const fn www_authenticate(&self) -> &'static str {
        "Bearer realm=\"stockline\", error=\"insufficient_scope\""
    }
}

/// A scope that is about a location and is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scope {:?} is about a location, and only {RESOURCE_SERVER_PREFIX}{LOCATION_PREFIX} with a valid location id is understood", .0.chars().take(SCOPE_CHARS_SHOWN).collect::<String>())]
pub struct LocationScopeError(Box<str>);

/// How much of a scope that is not understood is shown, in characters.
const SCOPE_CHARS_SHOWN: usize = 100;

/// Returns whether a group or a part of a scope is meant to bind to a location, spelled right or not.
fn is_about_location(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with(LOCATION_PREFIX) || name.starts_with("locations.")
}

/// Reads the location of a group or a scope. Neither may have every character of an id, so what is not a letter, a digit or
/// one of `-._~` is percent-encoded: `location.Caf%C3%A9%202`. A letter beyond ASCII may stand as it is. So nothing that looks
/// like a pattern or a path is understood.
fn location_id(text: &str) -> Option<LocationId> {
    let plain = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    if !text.bytes().all(plain) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()?.parse().ok()
}

/// What a token may do, and where. The rights of all its groups and scopes are united. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role in which it submits.
    pub submit: SubmitAs,
    /// The role in which it reads.
    pub read: ReadAs,
    /// The locations that it is bound to. `None` means everywhere, an empty set nowhere.
    pub locations: Option<Arc<BTreeSet<LocationId>>>,
}

impl Rights {
    /// The rights of a token that names no role.
    pub const NONE: Self = Self { submit: SubmitAs::Nobody, read: ReadAs::Nobody, locations: None };
    /// The rights of the group `Staff`.
    pub const STAFF: Self = Self { submit: SubmitAs::Staff, read: ReadAs::Staff, locations: None };
    /// The rights of the group `Manager`.
    pub const MANAGER: Self = Self { submit: SubmitAs::Manager, read: ReadAs::Manager, locations: None };

    /// Returns the rights of a token's `cognito:groups` and of the words of its `scope`. Unknown words are ignored, unless
    /// they are about a location: such a group binds the token to no location, and such a scope refuses it. So neither a
    /// typing error nor the scope of another resource server ever widens a token.
    ///
    /// # Errors
    /// A scope is about a location and is not understood.
    pub fn from_token<'a>(
        groups: impl IntoIterator<Item = &'a str>,
        scopes: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, LocationScopeError> {
        let mut rights = Self::NONE;
        let mut locations: Option<BTreeSet<LocationId>> = None;
        for group in groups {
            match group {
                "Manager" => rights.unite(SubmitAs::Manager, ReadAs::Manager),
                "Staff" => rights.unite(SubmitAs::Staff, ReadAs::Staff),
                other if is_about_location(other) => {
                    let id = other.strip_prefix(LOCATION_PREFIX).and_then(location_id);
                    locations.get_or_insert_default().extend(id);
                }
                _ => {}
            }
        }
        for scope in scopes {
            let name = scope.strip_prefix(RESOURCE_SERVER_PREFIX);
            match name {
                Some("commands") => rights.unite(SubmitAs::Staff, ReadAs::CommandStatus),
                Some("read") => rights.unite(SubmitAs::Nobody, ReadAs::Staff),
                Some("manage") => rights.unite(SubmitAs::Manager, ReadAs::CommandStatus),
                _ if scope.split('/').any(is_about_location) => {
                    let id = name.unwrap_or(scope).strip_prefix(LOCATION_PREFIX).and_then(location_id);
                    locations.get_or_insert_default().insert(id.ok_or_else(|| LocationScopeError(scope.into()))?);
                }
                _ => {}
            }
        }
        rights.locations = locations.map(Arc::new);
        Ok(rights)
    }

    /// Returns the rights that both these and the client's settings give.
    #[must_use]
    pub fn within(&self, client: &ClientSettings) -> Self {
        let mut most = Self::NONE;
        for right in &client.rights {
            match right {
                ClientRight::Commands => most.unite(SubmitAs::Staff, ReadAs::CommandStatus),
                ClientRight::Read => most.unite(SubmitAs::Nobody, ReadAs::Staff),
                ClientRight::Manage => most.unite(SubmitAs::Manager, ReadAs::CommandStatus),
            }
        }
        let locations = match (&self.locations, &client.locations) {
            (Some(own), Some(bound)) => Some(Arc::new(own.intersection(bound).cloned().collect())),
            (own, None) => own.clone(),
            (None, Some(bound)) => Some(Arc::new(bound.clone())),
        };
        Self { submit: self.submit.min(most.submit), read: self.read.min(most.read), locations }
    }

    /// Returns the same rights, bound to these locations.
    #[must_use]
    pub fn only_at(self, locations: impl IntoIterator<Item = LocationId>) -> Self {
        Self { locations: Some(Arc::new(locations.into_iter().collect())), ..self }
    }

    fn unite(&mut self, submit: SubmitAs, read: ReadAs) {
        self.submit = self.submit.max(submit);
        self.read = self.read.max(read);
    }

    /// Does the token name a role?
    ///
    /// # Errors
    /// `no_role`, which every other question returns too in that case.
    pub fn has_role(&self) -> Result<(), Forbidden> {
        if self.submit == SubmitAs::Nobody && self.read == ReadAs::Nobody {
            return Err(Forbidden::new(
                Forbidden::NO_ROLE,
                "the token names no role; it needs the group Manager or Staff, or the scope stockline/commands, \
                 stockline/read or stockline/manage",
            ));
        }
        Ok(())
    }

    /// May the token submit this command? A movement is judged at its location, a transfer at the giving side. A command
    /// that concerns an item everywhere (its catalogue record, its default threshold) needs a Manager without a binding.
    ///
    /// # Errors
    /// `no_role`, `forbidden_command`, `forbidden_location`.
    pub fn may_submit(&self, command: &Command, staff_may: &StaffMay) -> Result<(), Forbidden> {
        self.has_role()?;
        if !self.role_may_submit(command, staff_may) {
            return Err(self.command_refused(command));
        }
        // A reversal names no location: the fold judges it by the one of the movement.
        let is_bound_to_none = self.locations.as_ref().is_some_and(|locations| locations.is_empty());
        if command.kind() == CommandKind::Reverse && !is_bound_to_none {
            return Ok(());
        }
        match acts_at(&command.action) {
            Some(location) => self.may_act_at(location),
            None if self.locations.is_none() => Ok(()),
            None => Err(Forbidden::new(
                Forbidden::LOCATION,
                format!(
                    "{} concerns the item at every location, and this token is bound to {}",
                    command.kind().as_str(),
                    self.bound_to()
                ),
            )),
        }
    }

    /// Returns what a reversal of this token may take back; `None` if everything. Staff take back their own, and a token that
    /// is bound to locations only movements there.
    pub fn reach(&self, accepted_at: Timestamp, staff_may: &StaffMay) -> Option<Reach> {
        let within_ms = i64::from(staff_may.reverse_within_s) * 1_000;
        let own_since = (self.submit != SubmitAs::Manager).then(|| accepted_at.plus_millis(-within_ms));
        let locations = self.locations.as_ref().map(|locations| locations.iter().cloned().collect());
        (own_since.is_some() || locations.is_some()).then_some(Reach { own_since, locations })
    }

    fn role_may_submit(&self, command: &Command, staff_may: &StaffMay) -> bool {
        match self.submit {
            SubmitAs::Nobody => false,
            SubmitAs::Manager => true,
            SubmitAs::Staff => match command.kind() {
                CommandKind::Receive | CommandKind::Sell | CommandKind::Return | CommandKind::Transfer => true,
                CommandKind::Count => staff_may.count,
                // Only the fold knows whose the movement is, and how old.
                CommandKind::Reverse => staff_may.reverse_within_s > 0,
                CommandKind::Adjust => command.details.reason.is_some_and(|reason| staff_may.adjust.contains(&reason)),
                CommandKind::RegisterItem
                | CommandKind::UpdateItem
                | CommandKind::ArchiveItem
                | CommandKind::RestoreItem
                | CommandKind::SetThreshold
                | CommandKind::SetPlanning => false,
            },
        }
    }

    fn command_refused(&self, command: &Command) -> Forbidden {
        let kind = command.kind().as_str();
        let detail = match (self.submit, command.details.reason) {
            (SubmitAs::Nobody, _) => format!(
                "the token may only read; to submit {kind} it needs the group Manager or Staff, or the scope \
                 stockline/commands or stockline/manage"
            ),
            (_, Some(reason)) if command.kind() == CommandKind::Adjust => {
                format!("Staff may not submit {kind} with the reason {}; a Manager may", reason.as_str())
            }
            _ => format!("Staff may not submit {kind}; a Manager may"),
        };
        Forbidden::new(Forbidden::COMMAND, detail)
    }

    /// May the token read stock, items, movements, alerts and refused commands? [`Rights::visible_locations`] says at which
    /// locations.
    ///
    /// # Errors
    /// `no_role`, `forbidden`.
    pub fn may_read(&self) -> Result<(), Forbidden> {
        self.reads_as(
            ReadAs::Staff,
            "to read this, the token needs the group Manager or Staff, or the scope stockline/read",
        )
    }

    /// May the token read the status of commands?
    ///
    /// # Errors
    /// `no_role`.
    pub fn may_read_status(&self) -> Result<(), Forbidden> {
        self.reads_as(ReadAs::CommandStatus, "to read the status of commands, the token needs a role")
    }

    /// May the token see `unit_cost` and analytics?
    ///
    /// # Errors
    /// `no_role`, `forbidden`.
    pub fn may_read_costs(&self) -> Result<(), Forbidden> {
        self.reads_as(ReadAs::Manager, "only the group Manager may read costs and analytics")
    }

    /// May the token import files? Each of a file's commands is judged by [`Rights::may_submit`] besides.
    ///
    /// # Errors
    /// `no_role`, `forbidden`.
    pub fn may_import(&self) -> Result<(), Forbidden> {
        self.has_role()?;
        if self.submit == SubmitAs::Manager && self.read == ReadAs::Manager {
            return Ok(());
        }
        Err(Forbidden::new(Forbidden::OTHER, "only the group Manager may import files"))
    }

    /// May the token read and change settings of the whole installation, and register locations?
    ///
    /// # Errors
    /// `no_role`, `forbidden`; `forbidden_location` for a Manager who is bound to locations.
    pub fn may_manage_settings(&self) -> Result<(), Forbidden> {
        self.manages()?;
        if self.locations.is_some() {
            return Err(Forbidden::new(
                Forbidden::LOCATION,
                format!("this concerns the whole installation, and the token is bound to {}", self.bound_to()),
            ));
        }
        Ok(())
    }

    /// May the token see, register and change clients? Only people may: a client that could would widen itself.
    ///
    /// # Errors
    /// `no_role`, `forbidden`; `forbidden_location` for a Manager who is bound to locations.
    pub fn may_manage_clients(&self) -> Result<(), Forbidden> {
        self.reads_as(ReadAs::Manager, "only the group Manager may see and change clients")?;
        self.may_manage_settings()
    }

    /// May the token read and change the settings of this location? ([`Rights::may_manage_settings`] allows to register
    /// one.)
    ///
    /// # Errors
    /// `no_role`, `forbidden`, `forbidden_location`.
    pub fn may_manage_location(&self, location: &LocationId) -> Result<(), Forbidden> {
        self.manages()?;
        self.may_act_at(location)
    }

    /// May the token read what belongs to this location?
    ///
    /// # Errors
    /// `no_role`, `forbidden`, `forbidden_location`.
    pub fn may_read_location(&self, location: &LocationId) -> Result<(), Forbidden> {
        self.may_read()?;
        self.may_act_at(location)
    }

    /// Returns the locations that lists are narrowed to; `None` means all.
    pub fn visible_locations(&self) -> Option<&BTreeSet<LocationId>> {
        self.locations.as_deref()
    }

    fn reads_as(&self, least: ReadAs, detail: &str) -> Result<(), Forbidden> {
        self.has_role()?;
        if self.read >= least { Ok(()) } else { Err(Forbidden::new(Forbidden::OTHER, detail)) }
    }

    fn manages(&self) -> Result<(), Forbidden> {
        self.has_role()?;
        if self.submit == SubmitAs::Manager {
            return Ok(());
        }
        Err(Forbidden::new(
            Forbidden::OTHER,
            "only the group Manager or the scope stockline/manage may read and change settings",
        ))
    }

    fn may_act_at(&self, location: &LocationId) -> Result<(), Forbidden> {
        match &self.locations {
            Some(bound) if !bound.contains(location) => Err(Forbidden::new(
                Forbidden::LOCATION,
                format!("the token is bound to {} and may not act at {location}", self.bound_to()),
            )),
            _ => Ok(()),
        }
    }

    fn bound_to(&self) -> String {
        /// Locations named in a refusal.
        const NAMED: usize = 5;
        let Some(bound) = &self.locations else { return "every location".into() };
        if bound.is_empty() {
            return "no location (its location.<id> is not a valid id, or is none of its client's)".into();
        }
        let mut text = bound.iter().take(NAMED).map(LocationId::as_str).collect::<Vec<_>>().join(", ");
        if bound.len() > NAMED {
            text.push_str(", …");
        }
        text
    }
}

/// Returns the location by which the rights for a command are judged: of a transfer the giving side. `None` means that
/// the command concerns the item everywhere.
fn acts_at(action: &Action) -> Option<&LocationId> {
    action.locations().next()
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
