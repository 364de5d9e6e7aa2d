//! Reads a file, asks the store what it needs, and judges it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};
use stockline_core::domain::CommandKey;
use stockline_core::ports::StoreError;
use stockline_import::{Columns, Known, May, Needs, Options, Plan, Table};
use uuid::Uuid;

use super::{Import, State};
use crate::access::Caller;
use crate::app::App;
use crate::problem::{Problem, codes};

/// Items, barcodes or records of one read.
const PER_READ: usize = 500;
/// Reads in progress at once, which matters where each takes a round trip.
const READS_AT_ONCE: usize = 8;

/// A file as it was posted.
pub(crate) struct Upload {
    pub(crate) bytes: Bytes,
    pub(crate) file_name: String,
    pub(crate) options: Options,
    pub(crate) delimiter: Option<u8>,
    pub(crate) sheet: Option<String>,
    /// The text of the query, which is part of the import's id.
    pub(crate) query: String,
}

/// Reads and judges a file.
///
/// # Errors
/// `invalid_import` if it can't be read; the store's errors.
pub(crate) async fn judge(app: &Arc<App>, caller: &Caller, upload: Upload) -> Result<Import, Problem> {
    let busy = || Problem::new(codes::OVERLOADED, "other files are being judged; send the file again");
    let _turn = app.imports.judging.acquire().await.map_err(|_| busy())?;
    let opened = blocking(move || {
        let Upload { bytes, file_name, options, delimiter, sheet, query } = upload;
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let opened = stockline_import::read(&bytes, delimiter, sheet.as_deref());
        let opened = opened.map_err(|error| invalid(format!("{file_name} {error}")))?;
        let columns = Columns::of(&opened.table, &options).map_err(|error| invalid(format!("{file_name}: {error}")))?;
        Ok::<_, Problem>((opened, columns, hash, file_name, options, query))
    });
    let (mut opened, columns, hash, file_name, options, query) = opened.await??;
    let table = std::mem::take(&mut opened.table);
    let name = [caller.subject().as_bytes(), &hash, query.as_bytes()].join(&0x1f);
    let id = Uuid::new_v5(&stockline_import::recipe::IMPORTS, &name);
    let import = Import {
        id,
        subject: Arc::clone(caller.subject()),
        file_name,
        options,
        columns,
        opened,
        table,
        hash,
        state: Mutex::new(State::planned(&Plan::default())),
    };
    let (import, plan) = plan(app, caller, Arc::new(import)).await?;
    *import.state() = State::planned(&plan);
    Arc::into_inner(import).ok_or_else(|| Problem::new(codes::INTERNAL_ERROR, "the file is still in use"))
}

/// Judges the lines of an import by what the store has now.
pub(super) async fn plan(app: &Arc<App>, caller: &Caller, import: Arc<Import>) -> Result<(Arc<Import>, Plan), Problem> {
    let known = known(app, caller, &import.table, &import.columns, &import.options).await?;
    let (caller, app_of_judge) = (caller.clone(), Arc::clone(app));
    let judged = blocking(move || {
        let app = app_of_judge;
        let submit =
            |command: &_| caller.may_submit(command, &app.staff_may).map_err(|problem| problem.detail().to_owned());
        let manage = |location_id: &_, exists| {
            caller.may_manage_location(location_id, exists).map_err(|problem| problem.detail().to_owned())
        };
        let may = May { submit: &submit, manage: &manage };
        let plan = Plan::of(&import.table, &import.columns, &import.options, &known, &may, &import.hash);
        (import, plan)
    });
    let (import, mut plan) = judged.await?;
    let questions: Vec<CommandKey> = plan.questions().cloned().collect();
    if !questions.is_empty() {
        let mut records = Vec::with_capacity(questions.len());
        for keys in questions.chunks(PER_READ) {
            records.extend(app.queries.records(keys).await?);
        }
        plan.answer(records);
    }
    Ok((import, plan))
}

/// Asks the store for what the file needs. A caller who is bound to locations learns nothing of others.
async fn known(
    app: &App,
    caller: &Caller,
    table: &Table,
    columns: &Columns,
    options: &Options,
) -> Result<Known, StoreError> {
    let viewer = caller.viewer();
    let mut known = Known {
        items: HashMap::new(),
        holders: HashMap::new(),
        locations: app.queries.locations().await?,
        default_location: app.default_location.clone(),
    };
    let item_ids = Needs::items(table, columns, options);
    let found = in_parts(&item_ids, |part| app.queries.items_by_id(part)).await?;
    for mut item in found.into_iter().flatten() {
        item.levels.retain(|level| viewer.sees(&level.location_id));
        known.items.insert(item.item.item_id.clone(), item);
    }
    let claims = Needs::claims(table, columns, options, &known);
    let holders = in_parts(&claims, |part| app.queries.holders(part)).await?;
    known.holders = claims.into_iter().zip(holders).filter_map(|(claim, holder)| Some((claim, holder?))).collect();
    Ok(known)
}

/// Reads in parts of a bounded size, some at once.
async fn in_parts<'a, T, R, F>(wanted: &'a [T], read: impl Fn(&'a [T]) -> F) -> Result<Vec<R>, StoreError>
where
    F: Future<Output = Result<Vec<R>, StoreError>>,
{
    let mut found = Vec::with_capacity(wanted.len());
    for group in wanted.chunks(PER_READ * READS_AT_ONCE) {
        let reads: Vec<F> = group.chunks(PER_READ).map(&read).collect();
        found.extend(try_join_all(reads).await?.into_iter().flatten());
    }
    Ok(found)
}

fn invalid(detail: String) -> Problem {
    Problem::new(codes::INVALID_IMPORT, detail)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a file could not be judged");
        Problem::new(codes::INTERNAL_ERROR, "the file could not be judged, which was logged")
    })
}
