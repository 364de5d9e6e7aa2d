//! The description of the API: OpenAPI 3.1 for programs and a page for people. Both are made once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, ResponseBuilder, Type};
use utoipa::{Modify, OpenApi};

mod markdown;
mod page;
mod served;

use self::served::Served;
use crate::problem::{ProblemBody, ProblemError};
use crate::routes;
use crate::view::{self, values};
use crate::web::link;

#[derive(OpenApi)]
#[openapi(
    info(title = "Stockline", description = include_str!("openapi/overview.md"), license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "This server")),
    paths(
        routes::submit::submit,
        routes::batch::submit_batch,
        routes::status::status,
        routes::status::statuses,
        routes::commands::commands,
        routes::resubmit::resubmit,
        routes::items::items,
        routes::items::item,
        routes::items::movements,
        routes::items::stock_as_of,
        routes::stock::levels,
        routes::stock::alerts,
        routes::locations::locations,
        routes::locations::location,
        routes::locations::put_location,
        routes::about::limits,
        routes::about::login,
        routes::about::healthz,
        routes::about::readyz,
        openapi_json,
        docs,
    ),
    components(schemas(
        view::CommandSchema,
        ProblemBody<'static>,
        ProblemError,
        view::OutcomeView<'static>,
        view::QueuedView<'static>,
        view::MovementView,
        view::LevelView<'static>,
        view::BalanceView<'static>,
        view::DeadLetterView<'static>,
        view::ResubmitsView<'static>,
    )),
    tags(
        (name = "Commands", description = "Submit commands, and see their outcomes"),
        (name = "Stock", description = "Items, levels, movements and alerts"),
        (name = "Locations", description = "The places where stock is kept"),
        (name = "About", description = "This installation"),
    ),
    security(("token" = [])),
    modifiers(&TokenScheme, &CommonAnswers, &ParameterValues),
)]
struct Description;

struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of this installation's issuer (RS256), with the group Manager or Staff or a stockline scope"))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Adds the body of problems, and to every operation the answers that any request may get.
struct CommonAnswers;

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
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
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
                    if let utoipa::openapi::RefOr::T(answer) = answer {
                        complete(status, answer);
                    }
                }
            }
        }
    }
}

/// Adds the values of each parameter.
struct ParameterValues;

impl Modify for ParameterValues {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for item in openapi.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put];
            let parameters = operations.into_iter().flatten().filter_map(|operation| operation.parameters.as_mut());
            for parameter in parameters.flatten() {
                if let Some(values) = values::of_parameter(&parameter.name) {
                    parameter.schema = Some(values.into());
                }
            }
        }
    }
}

fn complete(status: &str, answer: &mut utoipa::openapi::Response) {
    let header = |kind: Type, text: &str| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new().schema(schema).description(Some(text)).build()
    };
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
        "304" => {
            answer.headers.insert("ETag".into(), header(Type::String, "The tag of the answer that you have"));
        }
        _ => {}
    }
}

/// Returns this description, as OpenAPI 3.1. Needs no token.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "About",
    security(()),
    responses((status = 200, description = "The document", content_type = "application/json")),
)]
pub(crate) async fn openapi_json(headers: HeaderMap) -> Response {
    served().json(&headers)
}

/// Returns this description, for people. Needs no token.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "About",
    security(()),
    responses((status = 200, description = "A page that loads nothing from other addresses", content_type = "text/html")),
)]
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    served().html(&headers)
}

/// The documents, made on first use. A process has one base path.
fn served() -> Arc<Served> {
    static SERVED: Mutex<BTreeMap<String, Arc<Served>>> = Mutex::new(BTreeMap::new());
    let base = link("");
    let mut served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || {
        let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
        if !base.is_empty() {
            document["servers"][0]["url"] = base.as_str().into();
        }
        Arc::new(Served::of(&document))
    };
    Arc::clone(served.entry(base.clone()).or_insert_with(made))
}
