use std::collections::BTreeSet;

use stockline_core::domain::{LocationId, Record, Status, Timestamp};
use stockline_core::ports::{CommandFilter, PageRequest, Queries, StoreError};

/// The most refused commands that a notice lists. The rest it counts.
pub(crate) const LISTED_MAX: usize = 100;

/// The most refused commands of one page.
const PAGE_LIMIT: usize = 1_000;

/// The most pages that are read to count refused commands of one status.
const PAGES_MAX: usize = 10;

/// The commands refused at a location since its last notice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refused {
    /// The newest first, at most [`LISTED_MAX`].
    pub(crate) newest: Vec<Record>,
    /// How many were counted.
    pub(crate) count: usize,
    /// Whether there are more than were counted.
    pub(crate) more: bool,
}

/// Returns the commands that were refused at a location from `since` to before `until`.
///
/// With `registered`, all registered locations, it also returns the commands that name none of them: catalogue commands,
/// misspelt locations, undecodable commands.
///
/// # Errors
/// Fails if the store can't be read.
pub(crate) async fn refused_commands(
    queries: &dyn Queries,
    location_id: &LocationId,
    registered: Option<&BTreeSet<LocationId>>,
    since: Option<Timestamp>,
    until: Timestamp,
) -> Result<Refused, StoreError> {
    let mut refused = Refused::default();
    for status in [Status::Rejected, Status::DeadLettered] {
        list(queries, Scope::Location(location_id), status, since, until, &mut refused).await?;
        if let Some(registered) = registered {
            list(queries, Scope::Elsewhere(registered), status, since, until, &mut refused).await?;
        }
    }
    Ok(refused)
}

/// The refused commands that a listing keeps.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    /// The commands of one location.
    Location(&'a LocationId),
    /// The commands that name none of these locations. No other notice has them.
    Elsewhere(&'a BTreeSet<LocationId>),
}

impl Scope<'_> {
    fn keeps(self, record: &Record) -> bool {
        match self {
            Self::Location(_) => true,
            Self::Elsewhere(registered) => record
                .outcome
                .command
                .as_ref()
                .and_then(|command| command.action.locations().next())
                .is_none_or(|location| !registered.contains(location)),
        }
    }
}

async fn list(
    queries: &dyn Queries,
    scope: Scope<'_>,
    status: Status,
    since: Option<Timestamp>,
    until: Timestamp,
    refused: &mut Refused,
) -> Result<(), StoreError> {
    let location_id = match scope {
        Scope::Location(location_id) => Some(location_id.clone()),
        Scope::Elsewhere(_) => None,
    };
    let filter = CommandFilter { status, code: None, location_id, since, settled_otherwise: false };
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = queries.commands(&filter, PageRequest::new(cursor.as_deref(), PAGE_LIMIT)).await?;
        let kept = page.entries.into_iter().filter(|r| r.outcome.settled_at < until && scope.keeps(r));
        for record in kept {
            refused.count += 1;
            refused.newest.push(record);
        }
        refused.newest.sort_by_key(|record| std::cmp::Reverse(record.outcome.settled_at));
        refused.newest.truncate(LISTED_MAX);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
    refused.more = true;
    Ok(())
}
