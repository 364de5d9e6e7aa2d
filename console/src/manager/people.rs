//! People and tills: who may come in, as what and where.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use qrcode::QrCode;
use qrcode::render::svg;

use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::people::{Grant, Issued, People, PeopleError, Role};
use crate::visit::{Places, Visit};

/// The side of a QR code, in pixels.
const QR_PX: u32 = 240;

/// Somebody who may come in.
#[derive(Debug)]
struct Row {
    id: String,
    subject: String,
    role: String,
    places: String,
    expires: String,
    is_me: bool,
}

/// What was just made, shown once.
#[derive(Debug, Default)]
struct Made {
    /// A sign-in link, with its picture.
    link: String,
    qr: String,
    whom: String,
    /// A till's token.
    token: String,
}

#[derive(Template)]
#[template(path = "manager/people.html")]
struct PeoplePage {
    frame: Frame,
    rows: Vec<Row>,
    places: Vec<(String, String)>,
    made: Made,
    subject: String,
    till: String,
    /// What is wrong; empty if nothing is.
    wrong: String,
    revoked: bool,
}

/// Returns the issuer, for a Manager who is bound to no location. The API has accepted the person's token in this request:
/// it is asked for the locations.
fn issuer(visit: &Visit, _checked: &Places) -> Result<Arc<dyn People>, Fault> {
    let person = &visit.session.person;
    if !person.is_manager || !person.bound_to.is_empty() {
        return Err(Fault::Forbidden);
    }
    visit.app.config.sign_in.people().map(Arc::clone).ok_or(Fault::NotFound)
}

/// Lists everybody.
pub(crate) async fn people(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let people = issuer(&visit, &places)?;
    shown(&visit, &places, &*people, Shown::default()).await
}

#[derive(Debug, Default)]
struct Shown {
    made: Made,
    subject: String,
    till: String,
    wrong: String,
    revoked: bool,
}

async fn shown(visit: &Visit, places: &Places, people: &dyn People, with: Shown) -> Result<Response, Fault> {
    let issued = people.issued().await.map_err(|error| Fault::broken(&error))?;
    let mine = people.id_of(visit.session.token());
    page(&PeoplePage {
        frame: visit.frame_at(visit.t.people, Section::People, places),
        rows: issued.iter().map(|one| Row::of(visit, places, one, mine.as_deref())).collect(),
        places: places.pairs(),
        made: with.made,
        subject: with.subject,
        till: with.till,
        wrong: with.wrong,
        revoked: with.revoked,
    })
}

/// Invites a person, connects a till, or takes somebody's way in away.
pub(crate) async fn change(visit: Visit, form: Form) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let people = issuer(&visit, &places)?;
    let locations: Vec<String> = form.all("at").filter(|at| !at.is_empty()).map(str::to_owned).collect();
    let mut with = Shown::default();
    let done: Result<(), PeopleError> = match form.text("act") {
        "invite" => {
            with.subject = form.text("subject").to_owned();
            let role = if form.text("role") == "manager" { Role::Manager } else { Role::Staff };
            let grant = Grant { role, subject: with.subject.clone(), locations };
            people.invite(&grant).await.map(|link| with.made = Made::link(link, &with.subject))
        }
        "till" => {
            with.till = form.text("till").to_owned();
            let token = people.connect_till(&with.till, &locations).await;
            token.map(|token| with.made = Made { token: token.0, whom: with.till.clone(), ..Made::default() })
        }
        "revoke" => people.revoke(form.text("id")).await.map(|()| with.revoked = true),
        _ => return Err(Fault::BadForm),
    };
    match done {
        Ok(()) => (with.subject, with.till) = (String::new(), String::new()),
        Err(error) => with.wrong = error.to_string(),
    }
    shown(&visit, &places, &*people, with).await
}

impl Made {
    fn link(link: String, whom: &str) -> Self {
        let qr = QrCode::new(link.as_bytes()).map(|code| {
            let mut picture = code.render::<svg::Color<'_>>();
            let picture =
                picture.min_dimensions(QR_PX, QR_PX).dark_color(svg::Color("#000")).light_color(svg::Color("#fff"));
            let text = picture.build();
            // What stands before the element is for files.
            text.find("<svg").map_or(String::new(), |at| text[at..].to_owned())
        });
        Self { link, qr: qr.unwrap_or_default(), whom: whom.to_owned(), token: String::new() }
    }
}

impl Row {
    fn of(visit: &Visit, places: &Places, issued: &Issued, mine: Option<&str>) -> Self {
        let names: Vec<&str> = issued.locations.iter().map(|id| places.name(id)).collect();
        Self {
            is_me: mine == Some(issued.id.as_str()),
            id: issued.id.clone(),
            subject: issued.subject.clone(),
            role: issued.role.clone(),
            places: if names.is_empty() { visit.t.everywhere.to_owned() } else { names.join(", ") },
            expires: visit.locale.day(&issued.expires_at, places.zone()),
        }
    }
}
