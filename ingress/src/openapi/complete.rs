//! Completes the description with what many operations have in common.

use stockline_core::domain::CommandKind;
use utoipa::Modify;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder, Type};

use crate::view::{commands, values};

pub(super) struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, openapi: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of this installation's issuer (RS256), with the group Manager or Staff or a stockline scope"))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Adds the body of problems, and to every operation the answers that any request may get.
pub(super) struct CommonAnswers;

const ANY: &[(&str, &str)] =
    &[("500", "`internal_error`, `store_unreadable`; both are logged"), ("503", "`overloaded`, `timeout`")];
const WITH_TOKEN: &[(&str, &str)] = &[
    ("400", "`invalid_parameter`"),
    ("401", "`token_missing`, `token_expired` and the other `token_…` codes"),
    ("403", "`no_role`, `forbidden`"),
    ("429", "`rate_limited`, if a rate is configured"),
    ("503", "`overloaded`, `timeout`, `store_unavailable`, `auth_unavailable`"),
];
const WITH_BODY: &[(&str, &str)] = &[
    ("400", "`malformed_json`: detail names line and column"),
    ("403", "`no_role`, `forbidden_command`, `forbidden_location`"),
    ("408", "`request_timeout`"),
    ("413", "`body_too_large`"),
    ("415", "`unsupported_media_type`"),
    ("503", "`overloaded`, `queue_unavailable`, `timeout`, `auth_unavailable`"),
];

impl Modify for CommonAnswers {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let operations = [&mut item.get, &mut item.post, &mut item.put];
            for operation in operations.into_iter().flatten() {
                let open = operation
                    .security
                    .as_ref()
                    .is_some_and(|needs| needs.iter().all(|need| *need == Default::default()));
                let with_body = if operation.request_body.is_some() { WITH_BODY } else { &[] };
                let with_token = if open { &[] } else { WITH_TOKEN };
                let any = if path.starts_with("/v1/") { ANY } else { &[] };
                let answers = &mut operation.responses.responses;
                for (status, description) in with_body.iter().chain(with_token).chain(any) {
                    answers
                        .entry((*status).to_owned())
                        .or_insert_with(|| ResponseBuilder::new().description(*description).build().into());
                }
                for (status, answer) in answers {
                    if let RefOr::T(answer) = answer {
                        complete(status, answer);
                    }
                }
            }
        }
    }
}

fn header(kind: Type, text: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new().schema(schema).description(Some(text)).build()
}

/// Adds `If-None-Match`, `ETag` and `304` to every read.
pub(super) struct ConditionalReads;

impl Modify for ConditionalReads {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let Some(operation) = item.get.as_mut().filter(|_| !PROBES.contains(&path.as_str())) else { continue };
            let known = ParameterBuilder::new()
                .name("If-None-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The `ETag` of the answer that you have"))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build();
            operation.parameters.get_or_insert_default().push(known);
            let answers = &mut operation.responses.responses;
            answers.entry("304".to_owned()).or_insert_with(|| {
                ResponseBuilder::new().description("Unchanged since the `ETag` in `If-None-Match`").build().into()
            });
            for (status, text) in [("200", "Changes with the answer"), ("304", "The tag of the answer that you have")] {
                if let Some(RefOr::T(answer)) = answers.get_mut(status) {
                    answer.headers.insert("ETag".into(), header(Type::String, text));
                }
            }
        }
    }
}

/// Adds the forms in which a whole list is exported, in words: of several content types a generated client makes one type
/// that is a page or a text, and every caller would have to tell them apart.
pub(super) struct ExportForms;

/// The lists that can be exported.
const EXPORTED: [&str; 5] = ["/v1/items", "/v1/stock", "/v1/movements", "/v1/commands", "/v1/alerts"];

impl Modify for ExportForms {
    fn modify(&self, openapi: &mut OpenApi) {
        for path in EXPORTED {
            let Some(operation) = openapi.paths.paths.get_mut(path).and_then(|item| item.get.as_mut()) else {
                continue;
            };
            operation.description = operation.description.take().map(|about| about + EXPORT_ABOUT);
        }
    }
}

const EXPORT_ABOUT: &str = "\n\nWith `Accept: text/csv` or `application/x-ndjson` the answer is the whole list, streamed, \
     without `cursor` and `limit`. In standalone it is as of one moment, which the header `stockline-as-of` tells, and takes \
     at most 120 s; on AWS each page is of a moment of its own. An answer that is cut off is not the whole list.";

/// Answers about the process itself, which are new each time.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Adds an example of each type of command, and marks the body that may be left out.
pub(super) struct RequestBodies;

impl Modify for RequestBodies {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let Some(body) = item.post.as_mut().and_then(|operation| operation.request_body.as_mut()) else { continue };
            match (path.as_str(), body.content.get_mut("application/json")) {
                ("/v1/commands", Some(content)) => {
                    content.examples.extend(CommandKind::ALL.map(|kind| {
                        let example = ExampleBuilder::new().summary(commands::about(kind));
                        (kind.as_str().to_owned(), example.value(Some(commands::example(kind))).build().into())
                    }));
                }
                (path, Some(_)) if path.ends_with("/resubmit") => body.required = Some(Required::False),
                _ => {}
            }
        }
    }
}

/// Adds the values of each parameter.
pub(super) struct ParameterValues;

impl Modify for ParameterValues {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let operations = [&mut item.get, &mut item.post, &mut item.put];
            let parameters = operations.into_iter().flatten().filter_map(|operation| operation.parameters.as_mut());
            for parameter in parameters.flatten() {
                if let Some(values) = values::of_parameter(path, &parameter.name) {
                    parameter.schema = Some(values);
                }
            }
        }
    }
}

fn complete(status: &str, answer: &mut utoipa::openapi::Response) {
    if status >= "400" && answer.content.is_empty() {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        answer.content.insert("application/problem+json".into(), content);
    }
    match status {
        "401" => {
            answer.headers.insert("WWW-Authenticate".into(), header(Type::String, "How to authenticate (RFC 6750)"));
        }
        "429" | "503" => {
            answer.headers.insert("Retry-After".into(), header(Type::Integer, "Seconds to wait before trying again"));
        }
        _ => {}
    }
}
