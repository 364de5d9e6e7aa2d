use serde::Serialize;
use stockline_core::domain::{MAX_COMMAND_MONEY, MAX_COMMAND_QUANTITY};
use stockline_core::ports::PAGE_LEVELS_MAX;
use stockline_service::Fault;
use utoipa::ToSchema;

use super::words::HealthStatusWord;
use crate::config::Limits;
use crate::login::LoginConfig;
use crate::server::{HEAD_BYTES, HTTP2_STREAMS, STALL_TIMEOUT};
use crate::staff_may::StaffMay;

/// The bounds of this installation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsView {
    /// Bytes of a request body.
    #[schema(example = 1_048_576)]
    body_bytes: usize,
    /// Bytes that all bodies over 16 KiB may occupy together while they are read. Further bodies wait, and are `overloaded` after 1 s.
    #[schema(example = 67_108_864)]
    large_bodies_bytes: usize,
    /// Bytes of the head of a request: its first line and its headers. A longer one is answered `431`.
    #[schema(example = 16_384)]
    head_bytes: usize,
    /// Bytes that all answers may occupy together until they are sent; half of it is for lists. Further answers wait, and are `overloaded` after 5 s.
    #[schema(example = 67_108_864)]
    answers_bytes: usize,
    /// A client that takes no byte of an answer for this time is disconnected.
    #[schema(example = 15)]
    answer_stall_s: u64,
    /// Requests in progress at once on one HTTP/2 connection.
    #[schema(example = 16)]
    http2_streams: u32,
    /// Commands of one batch, and of one status request.
    #[schema(example = 500)]
    batch_commands: usize,
    /// Bytes of a file that is imported.
    #[schema(example = 33_554_432)]
    import_bytes: usize,
    /// Lines of a file that is imported, after its headings.
    #[schema(example = 200_000)]
    import_lines: usize,
    /// Bytes of the lines of all imports that a process keeps; the ones that were not asked for longest make room.
    #[schema(example = 134_217_728)]
    imports_bytes: usize,
    /// Entries of a list page.
    #[schema(example = 1_000)]
    page_entries: usize,
    /// Levels of a page of items. A page ends before the item that would exceed it; its first item may have more.
    #[schema(example = 10_000)]
    page_levels: usize,
    /// Lists that are read at once. Further ones wait; callers take turns.
    #[schema(example = 8)]
    lists: usize,
    /// Lists of one token's subject that wait for their turn; further ones are `overloaded` after 1 s.
    #[schema(example = 64)]
    lists_waiting: usize,
    /// The longest `Prefer: wait`, in seconds.
    #[schema(example = 20)]
    wait_s: u64,
    /// Requests that wait for outcomes at once; further ones are answered without waiting.
    #[schema(example = 1_000)]
    waiters: usize,
    /// Commands that all waiting requests wait for together; a request beyond it is answered without waiting.
    #[schema(example = 20_000)]
    waited_commands: usize,
    /// Commands that are accepted and not yet in the queue; a request beyond it is `overloaded`.
    #[schema(example = 20_000)]
    buffered_commands: usize,
    /// Requests in progress at once; further ones wait, and are `overloaded` after 1 to 10 s.
    #[schema(example = 4_000)]
    concurrent_requests: usize,
    /// Open connections; further ones wait to be accepted, and idle ones are closed for them.
    #[schema(example = 10_000)]
    connections: usize,
    /// Time to send the head of a request, in seconds.
    #[schema(example = 10)]
    header_timeout_s: u64,
    /// Time for a request without its `Prefer: wait`, in seconds.
    #[schema(example = 30)]
    request_timeout_s: u64,
    /// Requests per second and token; null means no limit.
    #[schema(required = true)]
    rate_per_s: Option<u32>,
    /// Requests that an idle token may make at once; null means no limit.
    #[schema(required = true)]
    rate_burst: Option<u32>,
    /// For how many seconds after its acceptance Staff may take back a movement of their own (`reverse`); 0 means never.
    #[schema(example = 3_600)]
    staff_reverse_within_s: u32,
    /// The largest quantity of one command.
    #[schema(example = "9999999.999")]
    command_quantity: String,
    /// The largest amount or cost of one command.
    #[schema(example = "9999999999.9999")]
    command_money: String,
}

impl LimitsView {
    pub(crate) fn of(limits: &Limits, staff_may: &StaffMay) -> Self {
        Self {
            body_bytes: limits.body_bytes,
            large_bodies_bytes: limits.large_bodies_bytes,
            head_bytes: HEAD_BYTES,
            answers_bytes: limits.answers_bytes,
            answer_stall_s: STALL_TIMEOUT.as_secs(),
            http2_streams: HTTP2_STREAMS,
            batch_commands: limits.batch_commands,
            import_bytes: limits.import_bytes,
            import_lines: stockline_import::LINES_MAX,
            imports_bytes: limits.imports_bytes,
            page_entries: limits.page,
            page_levels: PAGE_LEVELS_MAX,
            lists: limits.lists,
            lists_waiting: limits.lists_waiting,
            wait_s: limits.wait_s,
            waiters: limits.waiters,
            waited_commands: limits.waited_commands,
            buffered_commands: limits.buffered_commands,
            concurrent_requests: limits.concurrent_requests,
            connections: limits.connections,
            header_timeout_s: limits.header_timeout_s,
            request_timeout_s: limits.request_timeout_s,
            rate_per_s: limits.rate_per_s,
            rate_burst: limits.rate_per_s.map(|_| limits.rate_burst),
            staff_reverse_within_s: staff_may.reverse_within_s,
            command_quantity: MAX_COMMAND_QUANTITY.to_string(),
            command_money: MAX_COMMAND_MONEY.to_string(),
        }
    }
}

/// Where people log in: OAuth 2, an authorization code with PKCE (`S256`), and a client without a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginView<'a> {
    /// The address that the browser is sent to.
    authorization_endpoint: &'a str,
    /// The address that exchanges codes and refresh tokens for access tokens.
    token_endpoint: &'a str,
    /// The client to log in with.
    #[schema(example = "1h57kf5cpq17m0eml12EXAMPLE")]
    client_id: &'a str,
    /// The scope to ask for.
    #[schema(example = "openid")]
    scope: &'a str,
}

impl<'a> From<&'a LoginConfig> for LoginView<'a> {
    fn from(login: &'a LoginConfig) -> Self {
        Self {
            authorization_endpoint: &login.authorization_endpoint,
            token_endpoint: &login.token_endpoint,
            client_id: &login.client_id,
            scope: &login.scope,
        }
    }
}

/// The state of this process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `degraded` if a part does not do its work; requests are answered all the same.
    #[schema(value_type = HealthStatusWord)]
    status: &'static str,
    /// The parts that do not do their work now; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultView>,
}

/// A part that does not do its work now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartFault)]
struct FaultView {
    /// The part: the label of the metric `stockline_part_up`.
    #[schema(example = "mail")]
    part: &'static str,
    /// Why, in a sentence. The log has the rest.
    #[schema(example = "mails can't be written or sent; the log says why")]
    why: String,
}

impl Health {
    /// Returns the state of a process that answers.
    pub(crate) fn of(faults: Vec<Fault>) -> Self {
        let status = if faults.is_empty() { "ok" } else { "degraded" };
        Self {
            status,
            faults: faults.into_iter().map(|fault| FaultView { part: fault.part, why: fault.why }).collect(),
        }
    }
}
