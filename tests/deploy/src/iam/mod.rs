//! Permissions on AWS: the policies of the templates, and the permissions that the programs' calls need. A guard
//! between the programs and the stand-in allows only what a program's own policy allows, and records every call.
//!
//! The Service Authorization Reference tells how AWS maps calls to actions, resources and keys ("Actions, resources,
//! and condition keys for Amazon DynamoDB", and those of SQS, SNS and SES v2). For transactions see the DynamoDB
//! Developer Guide, "Using IAM with DynamoDB transactions".

mod access;
mod policy;
mod roles;

pub use access::{Access, Call, UnknownCall};
pub use policy::{Grant, Policy};
pub use roles::{ACCOUNT, PROGRAMS, Roles, arn};
