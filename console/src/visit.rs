//! One request of a person who is signed in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use stockline_core::domain::LocationId;
use uuid::Uuid;

use crate::App;
use crate::api::{Caller, GATHER_S, Location, LocationPage};
use crate::asked::{locale_of, own_path, wants_part};
use crate::fault::Fault;
use crate::locale::Locale;
use crate::page::{Frame, Section};
pub(crate) use crate::places::Places;
use crate::session::Session;
use crate::texts::{Texts, fill};

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

    /// Whether the person may see what is at a location.
    pub(crate) fn sees(&self, at: &LocationId) -> bool {
        let bound = &self.session.person.bound_to;
        bound.is_empty() || bound.iter().any(|only| only == at.as_str())
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
        Ok(Places::new(all, here))
    }

    /// Makes the frame around a page.
    pub(crate) fn frame_at(&self, title: &str, section: Section, places: &Places) -> Frame {
        Frame::of_person(&self.app, self.t, &self.session.person, places, section, title, &self.path)
    }

    /// Says how far a search has come that was cut; returns nothing of one that was not.
    pub(crate) fn cut_text(&self, is_cut: bool) -> String {
        if is_cut { fill(self.t.search_cut, &[&GATHER_S.to_string()]) } else { String::new() }
    }

    /// Returns the address of a page of ours that a form names, or the first page.
    pub(crate) fn back_to(&self, path: &str) -> HeaderValue {
        own_path(&self.app, path)
    }
}
