//! Who may do what on AWS: the templates' policies, the calls that the programs make, and a guard between the programs
//! and the stand-in that lets through what a program's own policy allows and remembers every call.
//!
//! How AWS maps calls to actions, resources and keys is in the Service Authorization Reference ("Actions, resources,
//! and condition keys for Amazon DynamoDB", and those of SQS, SNS and SES v2), for transactions in the DynamoDB
//! Developer Guide, "Using IAM with DynamoDB transactions".

mod access;
mod policy;
mod roles;

pub use access::{Access, Call, UnknownCall};
pub use policy::{Grant, Policy};
pub use roles::{ACCOUNT, PROGRAMS, Roles, arn};
