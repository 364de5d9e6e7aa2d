use std::collections::BTreeSet;

use serde_json::Value;
use stockline_deploy_checks::wiring::ROOT;

use super::Faults;
use super::programs::Deployment;

pub(crate) fn parts_fit_together(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let templates = &deployment.templates;
    let mut wanted = Vec::new();
    outputs_wanted(templates.of(ROOT), &mut wanted);
    for (part, output) in wanted {
        let file = templates.parts().find(|(name, _, _)| *name == part).map(|(_, file, _)| file);
        if file.is_none_or(|file| templates.of(file)["Outputs"].get(&output).is_none()) {
            faults.push(format!("{part} has no output {output}"));
        }
    }
    for (part, file, given) in templates.parts() {
        let names = |value: &Value| -> BTreeSet<String> {
            value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let (given, declared) = (names(given), names(&templates.of(file)["Parameters"]));
        faults.extend(
            given.difference(&declared).map(|name| format!("{part} is given {name}, which {file} does not take")),
        );
        faults
            .extend(declared.difference(&given).map(|name| format!("{part} is not given {name}, which {file} takes")));
    }
    faults
}

/// Collects every `!GetAtt Part.Outputs.Name`.
fn outputs_wanted(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if let (Some(part), Some(attribute)) = (value["Fn::GetAtt"][0].as_str(), value["Fn::GetAtt"][1].as_str()) {
                let output = attribute.strip_prefix("Outputs.");
                found.extend(output.map(|output| (part.to_owned(), output.to_owned())));
            }
            fields.values().for_each(|value| outputs_wanted(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| outputs_wanted(value, found)),
        _ => {}
    }
}
