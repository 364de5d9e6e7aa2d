use std::collections::BTreeSet;

use stockline_deploy_checks::wiring::ROOT;

use super::Faults;
use super::programs::{Deployment, PROGRAMS, SERVICES};

/// The variables that no template sets, and why.
const LEFT_OUT: [(&str, &str); 1] = [
    // Only stand-ins of Cognito publish their keys at another address than the issuer's.
    ("ingress", "STOCKLINE_JWKS_URL"),
];

/// The value that each variable must have, wherever it is set.
const MEANT: [(&str, &str); 13] = [
    // Only people's client is accepted without a row that can cut it off.
    ("STOCKLINE_CLIENT_IDS", "${people.yaml/PeopleClient}"),
    ("STOCKLINE_METRICS_NAMESPACE", "Stockline/${AWS::StackName}"),
    ("STOCKLINE_ENV", "${Environment}"),
    ("STOCKLINE_TABLE", "${data.yaml/Table}"),
    ("STOCKLINE_QUEUE_URL", "${data.yaml/CommandQueue}"),
    ("STOCKLINE_DLQ_URL", "${data.yaml/CommandDlq}"),
    ("STOCKLINE_TOPIC_ARN", "${data.yaml/AlertTopic}"),
    ("STOCKLINE_RECEIPT_KEYS", "${services.yaml/ReceiptKeys}"),
    ("STOCKLINE_ISSUER", "https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${people.yaml/Users}"),
    ("STOCKLINE_LOGIN_URL", "https://${people.yaml/SignInPages}.auth.${AWS::Region}.amazoncognito.com"),
    ("STOCKLINE_LOGIN_CLIENT_ID", "${people.yaml/PeopleClient}"),
    ("STOCKLINE_MAIL_FROM", "${MailFrom}"),
    ("STOCKLINE_PUBLIC_URL", "https://${DomainName}"),
];

pub(crate) fn are_those_that_are_read(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for program in PROGRAMS {
        let read: BTreeSet<&str> =
            deployment.variables(program).iter().map(|variable| variable.name.as_str()).collect();
        let (file, listed) = deployment.set(program);
        let set: BTreeSet<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
        if set.len() < listed.len() {
            faults.push(format!("{file} sets a variable of {program} twice"));
        }
        let left_out = |name: &str| LEFT_OUT.contains(&(program, name));
        faults.extend(set.difference(&read).map(|name| format!("{file} sets {name}, which {program} does not read")));
        let missing = read.difference(&set).filter(|name| !left_out(name));
        faults.extend(missing.map(|name| format!("{program} reads {name}, which {file} does not set")));
        faults.extend(set.iter().filter(|name| left_out(name)).map(|name| format!("{name} is set after all")));
    }
    // Anyone who may describe a task sees its variables.
    let shown = deployment.container("ingress")["Environment"].as_array().into_iter().flatten();
    if shown.into_iter().any(|entry| entry["Name"] == "STOCKLINE_RECEIPT_KEYS") {
        faults.push(format!("{SERVICES} shows the receipt keys"));
    }
    faults
}

pub(crate) fn name_what_is_meant(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for (variable, meant) in MEANT {
        let readers = PROGRAMS.into_iter().filter(|program| {
            let read = deployment.variables(program);
            read.iter().any(|read| read.name == variable)
        });
        for program in readers {
            let found = deployment.value(program, variable);
            if found != meant {
                faults.push(format!("{variable} of {program} is {found}, not {meant}"));
            }
        }
    }
    faults
}

pub(crate) fn have_the_same_defaults(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for (variable, name, parameter) in parameters(deployment) {
        let default = &parameter["Default"];
        if variable.required || default.is_null() {
            continue;
        }
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        if default != variable.default {
            faults.push(format!("{name} is {default} by default, {} {}", variable.name, variable.default));
        }
    }
    faults
}

pub(crate) fn are_bounded_as_the_programs_bound_them(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for (variable, name, parameter) in parameters(deployment) {
        let Some((least, most)) = variable.bounds else {
            continue;
        };
        if parameter["MinValue"].as_u64().is_none_or(|value| value < least) {
            faults.push(format!("{name} may be less than {least}, the least of {}", variable.name));
        }
        if parameter["MaxValue"].as_u64().is_none_or(|value| value > most) {
            faults.push(format!("{name} may be more than {most}, the most of {}", variable.name));
        }
    }
    faults
}

/// Returns the variables whose whole value is one parameter of the root, with the parameter's name and declaration.
fn parameters(deployment: &Deployment) -> Vec<(&super::programs::Variable, String, &serde_json::Value)> {
    let declared = &deployment.templates.of(ROOT)["Parameters"];
    let of_programs = PROGRAMS.into_iter().flat_map(|program| {
        let variables = deployment.variables(program).iter();
        variables.map(move |variable| (variable, deployment.value(program, &variable.name)))
    });
    of_programs
        .filter_map(|(variable, value)| {
            let name = value.strip_prefix("${")?.strip_suffix('}')?.to_owned();
            let parameter = declared.get(&name)?;
            Some((variable, name, parameter))
        })
        .collect()
}
