//! The state that all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use stockline_core::domain::{LocationId, ScaleRules};
use stockline_core::ports::{Clients, Clock, Lately, Queries};
use stockline_service::Faults;
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::answer_budget::AnswerBudget;
use crate::auth::TokenCheck;
use crate::body_budget::BodyBudget;
use crate::config::Limits;
use crate::imports::Imports;
use crate::list_turns::ListTurns;
use crate::login::LoginConfig;
use crate::metrics::{CommandMetrics, RequestMetrics};
use crate::packer::{PACKER, Packer};
use crate::receipt::Receipts;
use crate::routes::KeptReports;
use crate::staff_may::StaffMay;
use crate::wait::Waiting;

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) limits: Limits,
    pub(crate) staff_may: StaffMay,
    pub(crate) scale_labels: ScaleRules,
    /// `None` if people can't log in here.
    pub(crate) login: Option<LoginConfig>,
    /// The location of a movement that names none; `None` if movements must name one.
    pub(crate) default_location: Option<LocationId>,
    pub(crate) token_check: TokenCheck,
    pub(crate) admission: Admission,
    pub(crate) body_budget: BodyBudget,
    pub(crate) list_turns: Arc<ListTurns>,
    /// One report is made at a time: it may need much memory.
    pub(crate) reports: Semaphore,
    pub(crate) kept_reports: KeptReports,
    pub(crate) answer_budget: AnswerBudget,
    pub(crate) imports: Imports,
    /// A permit for each export that may run.
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) packer: Packer,
    pub(crate) waiting: Waiting,
    pub(crate) receipts: Receipts,
    pub(crate) queries: Arc<dyn Queries>,
    /// `None` where only configured clients are accepted.
    pub(crate) clients: Option<Arc<dyn Clients>>,
    /// `None` where this process does not accept everything.
    pub(crate) lately: Option<Arc<Lately>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) draining: AtomicBool,
    /// The parts of this process that do not work now.
    pub(crate) faults: Arc<Faults>,
    pub(crate) command_metrics: CommandMetrics,
    pub(crate) request_metrics: RequestMetrics,
}

/// The extractor with which handlers get the state.
pub(crate) type Shared = State<Arc<App>>;

impl App {
    /// Returns why this process should not be sent requests; `None` if it should.
    pub(crate) async fn unready(&self) -> Option<String> {
        if self.draining.load(Ordering::Acquire) {
            return Some("it is stopping".to_owned());
        }
        if let Some(why) = self.token_check.why_unready().await {
            return Some(why.to_owned());
        }
        if !self.packer.is_running() {
            return Some(format!("{PACKER}: it has stopped"));
        }
        self.faults.is_down().then(|| self.faults.text())
    }
}
