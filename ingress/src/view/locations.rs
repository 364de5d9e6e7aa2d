use serde::Serialize;
use stockline_core::domain::{LocationId, LocationSettings, Timestamp};
use utoipa::ToSchema;

use super::viewer::Viewer;

/// The settings of a location.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Location)]
pub(crate) struct LocationView<'a> {
    /// The location.
    #[schema(value_type = String, example = "shop-1")]
    location_id: &'a LocationId,
    /// The name for people.
    #[schema(example = "Shop 1, High Street")]
    name: &'a str,
    /// The IANA time zone of the times in mails.
    #[schema(example = "Europe/Berlin")]
    time_zone: &'a str,
    /// The mail addresses for this location's alerts; an empty list means the configured one. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!(["shop-1@example.com"]))]
    alert_emails: Option<&'a [String]>,
    /// Whether the location is closed; a closed one accepts no new movements.
    #[schema(example = false)]
    closed: bool,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> LocationView<'a> {
    pub(crate) fn of(settings: &'a LocationSettings, viewer: &Viewer) -> Self {
        Self {
            location_id: &settings.location_id,
            name: &settings.name,
            time_zone: &settings.time_zone,
            alert_emails: viewer.settings.then_some(settings.alert_emails.as_slice()),
            closed: settings.closed,
            updated_at: settings.updated_at,
        }
    }
}

/// A page of locations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocationPage<'a> {
    /// The locations, by id.
    pub(crate) locations: Vec<LocationView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
}

/// The settings of a location.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LocationSettings, example = json!({
    "name": "Shop 1, High Street", "time_zone": "Europe/Berlin", "alert_emails": ["shop-1@example.com"], "closed": false
}))]
#[expect(dead_code, reason = "describes what routes::locations reads")]
pub(crate) struct LocationSchema {
    /// The name for people, 1 to 200 characters.
    name: String,
    /// The IANA time zone; `UTC` by default.
    time_zone: Option<String>,
    /// The mail addresses for this location's alerts, at most 20; an empty list means the configured one.
    alert_emails: Option<Vec<String>>,
    /// Whether the location is closed; a closed one accepts no new movements.
    closed: Option<bool>,
}
