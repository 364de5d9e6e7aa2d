//! The ports in memory for tests of the worker, with the faults of a plan.

mod faulty;
mod plan;
mod world;

pub(crate) use faulty::{Faulty, StoreFaults};
pub(crate) use plan::{Kind, Plan, Point};
pub(crate) use world::{World, item, key, queued};
