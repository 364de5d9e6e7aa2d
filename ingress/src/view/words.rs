//! The lists of words in answers and requests. Each is a schema with a name of its own, so that generated clients have one
//! type for it.

use std::borrow::Cow;

use stockline_core::domain::analytics::{Group, ReportName};
use stockline_core::domain::{
    AlertKind, ClientRight, CommandKind, Reason, RejectionCode, ScanKind, ShortagePolicy, Status, StockState,
};
use stockline_core::ports::MailStatus;
use stockline_import::Kind;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::table::{CODES, FAULT_CODES, codes};

macro_rules! words {
    ($($schema:ident = $name:literal, $about:literal, $words:expr;)*) => {$(
        #[doc = $about]
        #[derive(Debug)]
        pub(crate) struct $schema;

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String);
                words.description(Some($about)).enum_values(Some($words)).build().into()
            }
        }

        impl ToSchema for $schema {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )*};
}

words! {
    CommandTypeWord = "CommandType", "The type of a command.", CommandKind::ALL.map(CommandKind::as_str);
    MovementTypeWord = "MovementType", "The type of a command that moves stock.",
        CommandKind::ALL.into_iter().filter(|kind| kind.is_movement()).map(CommandKind::as_str).collect::<Vec<_>>();
    ChangeTypeWord = "ChangeType", "The type of a command that changes the catalogue or a threshold.",
        CommandKind::ALL.into_iter().filter(|kind| !kind.is_movement()).map(CommandKind::as_str).collect::<Vec<_>>();
    StatusWord = "Status",
        "`queued`: accepted and not yet decided. `applied`: it took effect. `rejected`: a business rule refused it. `dead_lettered`: it could not be handled and was set aside.",
        ["queued"].into_iter().chain(decided()).collect::<Vec<_>>();
    DecidedStatusWord = "DecidedStatus", "The status of a command that has an outcome.", decided();
    BatchLineStatusWord = "BatchLineStatus",
        "`queued`; `invalid`: the line has a fault; `failed`: it did not reach the queue and may be sent again with the same id. With `Prefer: wait` also `applied`, `rejected` or `dead_lettered`.",
        ["queued", "invalid", "failed"].into_iter().chain(decided()).collect::<Vec<_>>();
    StatusLineStatusWord = "StatusLineStatus",
        "`queued`, `applied`, `rejected` or `dead_lettered`; `unknown` if there is a problem.",
        ["queued"].into_iter().chain(decided()).chain(["unknown"]).collect::<Vec<_>>();
    ImportKindWord = "ImportType", "What is imported.", stockline_import::Kind::ALL.map(stockline_import::Kind::as_str);
    ImportFaultCodeWord = "ImportFaultCode", "What is wrong with a cell of a file.", import_fault_codes();
    ImportRefusalWord = "ImportRefusal", "Why a step of an import was refused: a rejection, `dead_lettered`, or `location_exists`.",
        RejectionCode::ALL.map(RejectionCode::as_str).into_iter().chain(["dead_lettered", codes::LOCATION_EXISTS.code]).collect::<Vec<_>>();
    ImportStatusWord = "ImportStatus", "How far an import is.", ["planned", "applying", "applied", "stopped"];
    ImportEffectWord = "ImportEffect", "What a line does.", ["create", "change", "leave", "skip", "faulty"];
    HealthStatusWord = "HealthStatus",
        "`ok`, or `degraded` if a part does not do its work; requests are answered all the same.",
        ["ok", "degraded"];
    StockStateWord = "StockState", "The state of a level, from its current balance and threshold.",
        [StockState::Normal, StockState::Low, StockState::Out, StockState::Oversold].map(StockState::as_str);
    ListedStateWord = "ListedState", "The state of a level that is not `normal`.",
        [StockState::Low, StockState::Out, StockState::Oversold].map(StockState::as_str);
    AlertKindWord = "AlertKind", "What a level became.",
        [AlertKind::Low, AlertKind::Out, AlertKind::Oversold].map(AlertKind::as_str);
    MailStatusWord = "MailStatus", "How far an alert's mail is.", MailStatus::ALL.map(MailStatus::as_str);
    ClientRightWord = "ClientRight",
        "What a client may do. `commands`: submit as Staff. `read`: read as Staff. `manage`: submit as Manager. Who submits also reads the status of commands.",
        ClientRight::ALL.map(ClientRight::as_str);
    ScanKindWord = "ScanKind",
        "`code`: a GTIN or any other text. `gs1`: a GS1 element string. `digital_link`: a GS1 digital link. `scale_label`: a label of the shop's own scale.",
        [ScanKind::Code, ScanKind::Gs1, ScanKind::DigitalLink, ScanKind::ScaleLabel].map(ScanKind::as_str);
    ReasonWord = "Reason", "The reason of a movement.", Reason::ALL.map(Reason::as_str);
    ShortagePolicyWord = "ShortagePolicy",
        "What happens to a sale if there is not enough stock: `allow` records it, `reject` refuses it.",
        [ShortagePolicy::Allow, ShortagePolicy::Reject].map(ShortagePolicy::as_str);
    RejectionCodeWord = "RejectionCode", "Why a command was refused; if several reasons apply, the first of this list.",
        RejectionCode::ALL.map(RejectionCode::as_str);
    ImportTypeWord = "ImportType", "What the lines of an imported file are.", Kind::ALL.map(Kind::as_str);
    ReportWord = "Report", "A report.", ReportName::ALL.map(ReportName::as_str);
    GroupWord = "ReportGroup", "What the rows of a report stand for.", Group::ALL.map(|group| group.words().0);
    ProblemCodeWord = "ProblemCode", "The stable name of a problem. `/docs` explains each.",
        CODES.iter().map(|code| code.code).collect::<Vec<_>>();
    FaultCodeWord = "FaultCode", "The stable name of one fault of a request.", FAULT_CODES;
}

fn decided() -> [&'static str; 3] {
    [Status::Applied, Status::Rejected, Status::DeadLettered].map(Status::as_str)
}

fn import_fault_codes() -> Vec<&'static str> {
    let mut codes: Vec<_> = FAULT_CODES.into_iter().chain(stockline_import::FAULT_CODES).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}
