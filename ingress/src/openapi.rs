//! The description of the API: OpenAPI 3.1 for programs, a page for people, both made once.

use std::sync::OnceLock;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, ResponseBuilder, Type};
use utoipa::{Modify, OpenApi};

use crate::problem::{ProblemBody, ProblemError};
use crate::{routes, view};

mod markdown;
mod page;
mod schemas;
mod values;

pub(crate) use schemas::{
    AlertSchema, BatchSchema, CommandSchema, CorrectionSchema, LocationSchema, RejectionSchema, StatusSchema,
    StatusesSchema,
};

/// Bytes of the digest that make an entity tag.
const TAG_BYTES: usize = 16;

#[derive(OpenApi)]
#[openapi(
    info(title = "Stockline", description = include_str!("openapi/overview.md"), license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "This server")),
    paths(
        routes::submit::submit,
        routes::batch::submit_batch,
        routes::status::status,
        routes::status::statuses,
        routes::refused::commands,
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
        routes::meta::limits,
        routes::meta::login,
        routes::meta::healthz,
        routes::meta::readyz,
        routes::meta::openapi_json,
        routes::meta::docs,
    ),
    components(schemas(
        CommandSchema,
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
        (name = "Commands", description = "Submitting, and what became of it"),
        (name = "Stock", description = "What is where, how it came to be, what runs out"),
        (name = "Locations", description = "Where stock is kept"),
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

/// Gives every problem its body, and every operation the answers that any request may get.
struct CommonAnswers;

const ANY: &[(&str, &str)] =
    &[("500", "`internal_error`, `store_unreadable`; both were logged"), ("503", "`overloaded`, `timeout`")];
const WITH_TOKEN: &[(&str, &str)] = &[
    ("400", "`invalid_parameter`"),
    ("401", "`token_missing`, `token_expired` and the other `token_…` codes"),
    ("403", "`no_role`, `forbidden`"),
    ("429", "`rate_limited`, where a rate is set"),
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

/// Says of each parameter what it can be.
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
            answer.headers.insert("ETag".into(), header(Type::String, "Of the answer that you have"));
        }
        _ => {}
    }
}

/// A document as it is served.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) body: Bytes,
    /// Its `ETag`.
    pub(crate) tag: String,
}

impl Page {
    fn of(text: String) -> Self {
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..TAG_BYTES]));
        Self { body: text.into(), tag }
    }
}

/// Both documents.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) json: Page,
    pub(crate) html: Page,
    /// The page's `Content-Security-Policy`: its one style sheet and nothing else.
    pub(crate) policy: String,
}

/// The documents, made on first use.
pub(crate) fn pages() -> &'static Pages {
    static PAGES: OnceLock<Pages> = OnceLock::new();
    PAGES.get_or_init(|| {
        let document = serde_json::to_value(document()).unwrap_or_default();
        let style = page::STYLE;
        let hash = STANDARD.encode(Sha256::digest(style));
        Pages {
            html: Page::of(page::render(&document)),
            json: Page::of(serde_json::to_string_pretty(&document).unwrap_or_default()),
            policy: format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    })
}

fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
