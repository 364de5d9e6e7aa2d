//! The locations: their names, time zones and the addresses that get their alerts.

use askama::Template;
use axum::response::Response;
use serde_json::{Value, json};

use crate::api::{Location, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::Visit;

/// A location's form.
#[derive(Debug, Default)]
struct Edited {
    id: String,
    name: String,
    time_zone: String,
    /// Separated by spaces.
    emails: String,
    closed: bool,
    /// What is wrong; empty if nothing is.
    wrong: String,
    saved: bool,
}

#[derive(Template)]
#[template(path = "manager/locations.html")]
struct LocationsPage {
    frame: Frame,
    places: Vec<Edited>,
    /// The form of a further location.
    new: Edited,
    /// Whether the person may add one: a Manager who is bound to no location.
    may_add: bool,
}

/// Shows the locations.
pub(crate) async fn locations(visit: Visit) -> Result<Response, Fault> {
    shown(&visit, None).await
}

async fn shown(visit: &Visit, edited: Option<Edited>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let mut new = Edited { time_zone: places.zone().to_owned(), ..Edited::default() };
    let mut all: Vec<Edited> = places.all.iter().map(Edited::of).collect();
    if let Some(edited) = edited {
        match all.iter_mut().find(|place| place.id == edited.id) {
            Some(place) => *place = edited,
            None => new = edited,
        }
    }
    page(&LocationsPage {
        frame: visit.frame_at(visit.t.locations, Section::Locations, &places),
        places: all,
        new,
        may_add: visit.session.person.bound_to.is_empty(),
    })
}

/// Changes a location, or adds one.
pub(crate) async fn put(visit: Visit, form: Form) -> Result<Response, Fault> {
    let mut edited = Edited::typed(&form);
    let emails: Vec<&str> = edited.emails.split([' ', ',', ';', '\n']).filter(|part| !part.is_empty()).collect();
    let settings = json!({
        "name": edited.name, "time_zone": edited.time_zone, "alert_emails": emails, "closed": edited.closed,
    });
    match visit.api.put::<Value>(&format!("/v1/locations/{}", segment(&edited.id)), &settings).await {
        Ok(_) => edited.saved = true,
        Err(Fault::Problem(problem)) if [400, 422].contains(&problem.status) => {
            edited.wrong = problem.in_words();
        }
        Err(fault) => return Err(fault),
    }
    shown(&visit, Some(edited)).await
}

impl Edited {
    fn of(place: &Location) -> Self {
        Self {
            id: place.location_id.clone(),
            name: place.name.clone(),
            time_zone: place.time_zone.clone(),
            emails: place.alert_emails.clone().unwrap_or_default().join(" "),
            closed: place.closed,
            ..Self::default()
        }
    }

    fn typed(form: &Form) -> Self {
        Self {
            id: form.text("location").to_owned(),
            name: form.text("name").to_owned(),
            time_zone: form.text("time_zone").to_owned(),
            emails: form.text("emails").to_owned(),
            closed: form.some("closed").is_some(),
            ..Self::default()
        }
    }

    fn heading(&self, t: &crate::texts::Texts) -> String {
        if self.closed { fill(t.place_is_closed, &[&self.name]) } else { self.name.clone() }
    }
}
