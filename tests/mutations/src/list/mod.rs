use crate::{Edit, Mutation};

mod alerter;
mod clock;
mod fold;
mod ingress;
mod points;
mod stores;
mod worker;

/// All mutations, grouped by suite.
pub const ALL: &[&[Mutation]] = &[
    fold::MUTATIONS,
    stores::DYNAMODB,
    stores::SQLITE,
    worker::MUTATIONS,
    ingress::MUTATIONS,
    alerter::MUTATIONS,
    points::MUTATIONS,
    clock::MUTATIONS,
];

const fn edit(file: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { file, from, to }
}
