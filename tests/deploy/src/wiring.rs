//! Reads the templates of an installation together, and follows a value of one part through parameters and outputs to
//! its origin.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::templates;

/// The root template.
pub const ROOT: &str = "template.yaml";

/// All templates of an installation, by file.
#[derive(Debug, Clone)]
pub struct Wiring {
    files: BTreeMap<String, Value>,
}

impl Wiring {
    /// Reads `deploy/`.
    pub fn read() -> Self {
        Self { files: templates::ALL.into_iter().map(|name| (name.to_owned(), templates::read(name))).collect() }
    }

    /// Returns a template.
    pub fn of(&self, file: &str) -> &Value {
        self.files.get(file).unwrap_or_else(|| panic!("no template {file}"))
    }

    /// Returns a template, so that a test can change it.
    pub fn of_mut(&mut self, file: &str) -> &mut Value {
        self.files.get_mut(file).unwrap_or_else(|| panic!("no template {file}"))
    }

    /// Returns every template with its file.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.files.iter().map(|(file, template)| (file.as_str(), template))
    }

    /// Returns a resource of a template.
    pub fn resource(&self, file: &str, name: &str) -> &Value {
        &self.of(file)["Resources"][name]
    }

    /// Returns the parts of the root: name, file and parameters.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        templates::resources(self.of(ROOT), "AWS::CloudFormation::Stack").into_iter().map(|(name, part)| {
            let properties = &part["Properties"];
            (name, properties["TemplateURL"].as_str().unwrap_or_default(), &properties["Parameters"])
        })
    }

    /// Returns the origin of a value in a template: `${data.yaml/Table.Arn}/index/unwell` for an attribute of a
    /// resource and a text behind it, `${VisibilityS}` for a parameter of the root, `${AWS::Region}` for a value of
    /// AWS. A condition has the result of the root's defaults. A value without an origin is returned as JSON.
    pub fn origin(&self, file: &str, value: &Value) -> String {
        match value {
            Value::String(text) => return text.clone(),
            Value::Number(_) | Value::Bool(_) => return value.to_string(),
            Value::Object(fields) if fields.len() == 1 => {}
            _ => return value.to_string(),
        }
        if let Some(name) = value["Ref"].as_str() {
            return self.named(file, name);
        }
        if let [Value::String(name), Value::String(attribute)] = items(&value["Fn::GetAtt"]) {
            return self.attribute(file, name, attribute);
        }
        if let Some(text) = value["Fn::Sub"].as_str() {
            return self.substituted(file, text);
        }
        if let [Value::String(between), Value::Array(parts)] = items(&value["Fn::Join"]) {
            let parts: Vec<String> = parts.iter().map(|part| self.origin(file, part)).collect();
            return parts.join(between);
        }
        if let [Value::String(condition), yes, no] = items(&value["Fn::If"])
            && let Some(holds) = self.holds(&self.of(file)["Conditions"][condition])
        {
            return self.origin(file, if holds { yes } else { no });
        }
        value.to_string()
    }

    /// Reports whether a condition of the root holds with its default parameters. `None` means that a parameter has no
    /// default.
    fn holds(&self, condition: &Value) -> Option<bool> {
        if let [condition] = items(&condition["Fn::Not"]) {
            return self.holds(condition).map(|holds| !holds);
        }
        let [parameter, value] = items(&condition["Fn::Equals"]) else {
            return None;
        };
        let default = &self.of(ROOT)["Parameters"][parameter["Ref"].as_str()?]["Default"];
        default.as_str().map(|default| value == default)
    }

    fn named(&self, file: &str, name: &str) -> String {
        if name.starts_with("AWS::") || (file == ROOT && self.of(file)["Parameters"].get(name).is_some()) {
            return format!("${{{name}}}");
        }
        if self.of(file)["Parameters"].get(name).is_some() {
            let part = self.parts().find(|(_, of, _)| *of == file);
            let given = part.and_then(|(_, _, given)| given.get(name));
            return given.map_or_else(|| format!("${{{file}/{name}: not given}}"), |given| self.origin(ROOT, given));
        }
        format!("${{{file}/{name}}}")
    }

    fn attribute(&self, file: &str, name: &str, attribute: &str) -> String {
        let output = attribute.strip_prefix("Outputs.").filter(|_| file == ROOT);
        let part = self.parts().find(|(part, _, _)| *part == name);
        match (output, part) {
            (Some(output), Some((_, of, _))) => self.origin(of, &self.of(of)["Outputs"][output]["Value"]),
            _ => format!("${{{file}/{name}.{attribute}}}"),
        }
    }

    fn substituted(&self, file: &str, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            whole += &match name.split_once('.') {
                Some((name, attribute)) => self.attribute(file, name, attribute),
                None => self.named(file, name),
            };
            whole += rest;
        }
        whole
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
