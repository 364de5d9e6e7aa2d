use crate::{Edit, Mutation};

mod alerter;
mod analytics;
mod clock;
mod console;
mod doors;
mod fold;
mod folder;
mod imports;
mod ingress;
mod money;
mod parts;
mod points;
mod stores;
mod words;
mod worker;

/// All mutations, grouped by suite.
pub const ALL: &[&[Mutation]] = &[
    fold::MUTATIONS,
    stores::DYNAMODB,
    stores::SQLITE,
    stores::READS,
    worker::MUTATIONS,
    ingress::MUTATIONS,
    imports::MUTATIONS,
    alerter::MUTATIONS,
    analytics::MUTATIONS,
    parts::MUTATIONS,
    points::MUTATIONS,
    folder::LIBRARY_MUTATIONS,
    folder::REVOKED_MUTATIONS,
    folder::RECEIPT_MUTATIONS,
    folder::PROGRAM_MUTATIONS,
    clock::MUTATIONS,
    money::MUTATIONS,
    words::MUTATIONS,
    doors::MUTATIONS,
    console::MUTATIONS,
];

const fn edit(file: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { file, from, to }
}
