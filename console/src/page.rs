//! The frame around pages, and answers made of templates.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::asked::Asked;
use crate::assets;
use crate::fault::{Fault, Unshown};
use crate::people::SignIn;
use crate::places::Places;
use crate::session::{Person, Session};
use crate::texts::Texts;

/// The sections of the console, as the navigation shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Today,
    Scan,
    Count,
    Items,
    Refused,
    Reports,
    Exchange,
    Locations,
    People,
    Operations,
    None,
}

/// A line of the navigation.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    pub(crate) is_here: bool,
}

/// A location to choose.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_here: bool,
}

/// Everything around the main part of a page.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What stands before every address of ours: the base path.
    pub(crate) root: String,
    pub(crate) t: &'static Texts,
    pub(crate) title: String,
    pub(crate) css: &'static str,
    pub(crate) js: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) nav: Vec<Link>,
    /// The locations where the person may work.
    pub(crate) places: Vec<Choice>,
    /// Who is signed in; empty if nobody is.
    pub(crate) subject: String,
    pub(crate) role: &'static str,
    /// The path of the page, to come back to it.
    pub(crate) path: String,
}

impl Frame {
    /// Makes the frame of a page for nobody in particular.
    pub(crate) fn bare(app: &App, t: &'static Texts, title: &str) -> Self {
        Self {
            root: app.config.base.clone(),
            t,
            title: title.to_owned(),
            css: assets::css(),
            js: assets::js(),
            icon: assets::icon(),
            nav: Vec::new(),
            places: Vec::new(),
            subject: String::new(),
            role: "",
            path: String::new(),
        }
    }

    /// Makes the frame of a page for a person.
    pub(crate) fn of_person(
        app: &App,
        t: &'static Texts,
        person: &Person,
        places: &Places,
        section: Section,
        title: &str,
        path: &str,
    ) -> Self {
        let here = places.here_id();
        let mine = |id: &String| person.bound_to.is_empty() || person.bound_to.contains(id);
        let open = places.all.iter().filter(|place| mine(&place.location_id) && !place.closed);
        Self {
            nav: nav(app, t, person, section),
            places: open
                .map(|place| Choice {
                    id: place.location_id.clone(),
                    name: place.name.clone(),
                    is_here: place.location_id == here,
                })
                .collect(),
            subject: person.subject.clone(),
            role: if person.is_manager { t.manager } else { t.staff },
            path: path.to_owned(),
            ..Self::bare(app, t, title)
        }
    }
}

fn nav(app: &App, t: &'static Texts, person: &Person, section: Section) -> Vec<Link> {
    let owns = person.is_manager && person.bound_to.is_empty();
    let sections = [
        (person.is_manager, Section::Today, "/console/today", t.today),
        (true, Section::Scan, "/console", t.scan),
        (person.is_manager || app.config.staff_may_count, Section::Count, "/console/count", t.count_list),
        (true, Section::Items, "/console/items", t.items),
        (person.is_manager, Section::Refused, "/console/refused", t.refused_list),
        (person.is_manager, Section::Reports, "/console/reports", t.reports),
        (person.is_manager, Section::Exchange, "/console/import", t.exchange),
        (person.is_manager, Section::Locations, "/console/locations", t.locations),
        (owns && signs_in_by_links(app), Section::People, "/console/people", t.people),
        (person.is_manager, Section::Operations, "/console/operations", t.operations),
    ];
    let shown = sections.into_iter().filter(|(may, ..)| *may);
    shown.map(|(_, of, path, text)| Link { path, text, is_here: of == section }).collect()
}

/// Renders a page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Fault> {
    page_with(StatusCode::OK, template)
}

/// Renders a page with a status.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, Fault> {
    let html = template.render().map_err(|error| Fault::broken(&error))?;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok((status, [(CONTENT_TYPE, kind)], html).into_response())
}

/// What went wrong, as a page.
#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    heading: &'static str,
    detail: String,
}

/// What went wrong, as a part of a page.
#[derive(Template)]
#[template(path = "fault_part.html")]
struct FaultPart {
    heading: &'static str,
    detail: String,
}

/// Makes the page of a fault that a handler has returned.
pub(crate) fn of_fault(
    app: &App,
    asked: &Asked,
    session: Option<&Session>,
    status: StatusCode,
    unshown: Unshown,
) -> Response {
    let t = asked.locale.texts();
    let (heading, usual) = match status {
        StatusCode::NOT_FOUND => (t.not_found, t.not_found_advice),
        StatusCode::FORBIDDEN => (t.forbidden, t.forbidden_advice),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => (t.bad_form, t.bad_form_advice),
        StatusCode::PAYLOAD_TOO_LARGE => (t.too_large, t.too_large_advice),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => (t.busy, t.busy_advice),
        _ => (t.broken, t.broken_advice),
    };
    let detail = unshown.detail.unwrap_or_else(|| usual.to_owned());
    let made = if asked.wants_part {
        page_with(status, &FaultPart { heading, detail })
    } else {
        let mut frame = Frame::bare(app, t, heading);
        if let Some(session) = session {
            frame.nav = nav(app, t, &session.person, Section::None);
            frame.subject = session.person.subject.clone();
        }
        page_with(status, &FaultPage { frame, heading, detail })
    };
    made.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Answers an address that is no page of ours.
pub(crate) async fn not_found() -> Fault {
    Fault::NotFound
}

/// Whether people sign in by links that a manager makes.
pub(crate) fn signs_in_by_links(app: &App) -> bool {
    matches!(app.config.sign_in, SignIn::Links(_))
}
