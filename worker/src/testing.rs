//! A simulator of the ports, for tests. It keeps their contracts, and fails where a plan says so.

mod plan;
mod queue;
mod store;
mod world;

pub(crate) use plan::{Kind, Plan, Point};
pub(crate) use queue::SimQueue;
pub(crate) use store::{SimStore, Stock};
pub(crate) use world::{World, item, queued};
