//! The shapes of requests and answers, and what a caller may see of them (design.md §5).

mod about;
mod alerts;
mod analytics;
mod barcodes;
mod clients;
pub(crate) mod commands;
mod imports;
mod levels;
mod locations;
mod movements;
mod outcomes;
mod remarks;
mod requests;
pub(crate) mod values;
mod viewer;
pub(crate) mod words;

pub(crate) use about::{Health, LimitsView, LoginView};
pub(crate) use alerts::{AlertPage, AlertView};
pub(crate) use analytics::{CellsView, ReportView, csv};
pub(crate) use barcodes::ScanView;
pub(crate) use clients::{ClientPage, ClientSchema, ClientView};
pub(crate) use commands::CommandSchema;
pub(crate) use imports::ImportView;
pub(crate) use levels::{ItemPage, ItemView, LevelPage, LevelView, PointInTimeView};
pub(crate) use locations::{LocationPage, LocationSchema, LocationView};
pub(crate) use movements::{MovementPage, MovementView};
pub(crate) use outcomes::{BatchAnswer, BatchLine, CommandPage, StatusAnswer, StatusLine, StatusView};
pub(crate) use requests::{BatchSchema, CorrectionSchema, DismissalSchema, StatusesSchema};
pub(crate) use viewer::Viewer;
