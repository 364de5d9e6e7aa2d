use serde_json::json;
use stockline_deploy_checks::templates::resources;
use stockline_deploy_checks::wiring::ROOT;

use super::Faults;
use super::programs::Deployment;

/// The resource types that lose data when they are deleted (stock, commands and alerts in queues, users, receipt keys),
/// and how many of each there are.
const HOLDERS: [(&str, usize); 4] = [
    ("AWS::DynamoDB::Table", 1),
    ("AWS::SQS::Queue", 4),
    ("AWS::Cognito::UserPool", 1),
    ("AWS::SecretsManager::Secret", 1),
];

/// The nested stacks of the root that must be kept too.
const PARTS: [&str; 2] = ["Data", "People"];

pub(crate) fn what_holds_something_is_kept(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let templates = &deployment.templates;
    let parts = PARTS.map(|part| (ROOT, part, templates.resource(ROOT, part)));
    let mut holders: Vec<_> = parts.into_iter().collect();
    for (kind, expected) in HOLDERS {
        let found = templates.all().flat_map(|(file, template)| {
            resources(template, kind).into_iter().map(move |(name, resource)| (file, name, resource))
        });
        let before = holders.len();
        holders.extend(found);
        if holders.len() - before != expected {
            faults.push(format!("{} resources are {kind}, not {expected}", holders.len() - before));
        }
    }
    for (file, name, resource) in holders {
        // With `Retain`, a failed first deployment would leave empty resources that fail the next one.
        for (policy, wanted) in [("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain")] {
            if resource[policy] != wanted {
                faults.push(format!("{name} of {file} has no {policy}: {wanted}"));
            }
        }
        let properties = &resource["Properties"];
        let protected = match resource["Type"].as_str().unwrap_or_default() {
            "AWS::DynamoDB::Table" => {
                properties["DeletionProtectionEnabled"] == json!({"Fn::If": ["IsProtected", true, false]})
                    && properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] == true
            }
            "AWS::Cognito::UserPool" => {
                properties["DeletionProtection"] == json!({"Fn::If": ["IsProtected", "ACTIVE", "INACTIVE"]})
            }
            _ => true,
        };
        if !protected {
            faults.push(format!("{name} of {file} can be deleted by hand, or not be brought back"));
        }
    }
    faults
}
