//! One request of a person who is signed in.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use uuid::Uuid;

use crate::App;
use crate::api::{Caller, Location, LocationPage};
use crate::fault::Fault;
use crate::locale::Locale;
use crate::page::{Frame, Section};
use crate::session::Session;
use crate::texts::Texts;

/// The header with which the script asks for a part of a page instead of the whole.
const PART: &str = "console-part";

/// What is asked for, by whomever.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) is_post: bool,
    pub(crate) wants_part: bool,
    pub(crate) locale: Locale,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
        let is_post = request.method() == Method::POST;
        let (wants_part, locale) = (wants_part(request.headers()), locale_of(request.headers()));
        Self { path, is_post, wants_part, locale }
    }
}

fn wants_part(headers: &HeaderMap) -> bool {
    headers.contains_key(PART)
}

pub(crate) fn locale_of(headers: &HeaderMap) -> Locale {
    Locale::of(headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default())
}

/// A person at a page: what a handler needs.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) app: Arc<App>,
    pub(crate) session: Session,
    /// The API, with the person's token.
    pub(crate) api: Caller,
    pub(crate) locale: Locale,
    pub(crate) t: &'static Texts,
    /// The path and query of the request, under the base path.
    pub(crate) path: String,
    /// Whether the script asks for a part of the page.
    pub(crate) wants_part: bool,
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Fault> {
        let session = parts.extensions.get::<Session>().cloned().ok_or(Fault::SignedOut)?;
        let locale = locale_of(&parts.headers);
        Ok(Self {
            api: app.api.with_token(session.token()),
            app: Arc::clone(app),
            session,
            t: locale.texts(),
            locale,
            path: parts.uri.path_and_query().map_or("/console", |path| path.as_str()).to_owned(),
            wants_part: wants_part(&parts.headers),
        })
    }
}

/// The locations that the person sees, and the one where they work.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) all: Vec<Location>,
    /// The place in `all`; `None` only if the person may act nowhere.
    here: Option<usize>,
}

impl Places {
    /// The location where the person works.
    pub(crate) fn here(&self) -> Option<&Location> {
        self.all.get(self.here?)
    }

    /// Takes another location as the one where the person works: that of a form, which may be older than the session's choice.
    ///
    /// # Errors
    /// The person does not see it: nothing must happen elsewhere instead.
    pub(crate) fn be_at(&mut self, id: &str) -> Result<(), Fault> {
        let at = self.all.iter().position(|place| place.location_id == id);
        self.here = Some(at.ok_or(Fault::Forbidden)?);
        Ok(())
    }

    /// Returns the id of the location where the person works.
    pub(crate) fn here_id(&self) -> &str {
        self.here().map_or("", |place| place.location_id.as_str())
    }

    /// Returns a location by its id.
    pub(crate) fn named(&self, id: &str) -> Option<&Location> {
        self.all.iter().find(|place| place.location_id == id)
    }

    /// Returns the name of a location; its id if it is not known.
    pub(crate) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.named(id).map_or(id, |place| &place.name)
    }

    /// Returns the ids and the names of all, for a form to choose from.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        self.all.iter().map(|place| (place.location_id.clone(), place.name.clone())).collect()
    }

    /// Returns the time zone of the location where the person works.
    pub(crate) fn zone(&self) -> &str {
        self.here().map_or("UTC", |place| &place.time_zone)
    }
}

impl Visit {
    /// Returns a new id for a command.
    #[expect(
        clippy::disallowed_methods,
        reason = "the console is a client, and clients make the ids of their commands"
    )]
    pub(crate) fn new_id(&self) -> String {
        Uuid::now_v7().to_string()
    }

    /// Whether the person may count.
    pub(crate) fn may_count(&self) -> bool {
        self.session.person.is_manager || self.app.config.staff_may_count
    }

    /// Reads the locations.
    pub(crate) async fn places(&self) -> Result<Places, Fault> {
        let page: LocationPage = self.api.get("/v1/locations?limit=1000").await?;
        let bound = &self.session.person.bound_to;
        let mine = |place: &Location| bound.is_empty() || bound.contains(&place.location_id);
        let all: Vec<Location> = page.locations;
        let at = |id: &str| all.iter().position(|place| place.location_id == id && mine(place));
        let chosen = self.session.chosen().and_then(at);
        let here = chosen.or_else(|| at("main").filter(|main| !all[*main].closed));
        let here = here.or_else(|| all.iter().position(|place| mine(place) && !place.closed));
        Ok(Places { all, here })
    }

    /// Makes the frame around a page.
    pub(crate) fn frame_at(&self, title: &str, section: Section, places: &Places) -> Frame {
        Frame::of_person(&self.app, self.t, &self.session.person, places, section, title, &self.path)
    }

    /// Returns the address of a page of ours that a form names, or the first page.
    pub(crate) fn back_to(&self, path: &str) -> HeaderValue {
        own_path(&self.app, path)
    }
}

/// Returns an address of the console: a path of ours, else the first page. No other site can be named.
pub(crate) fn own_path(app: &App, path: &str) -> HeaderValue {
    let is_ours = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = if is_ours && is_plain { path } else { "/console" };
    HeaderValue::from_str(&format!("{}{path}", app.config.base)).unwrap_or(HeaderValue::from_static("/console"))
}
