//! Lines of locations.

use stockline_core::domain::{LocationId, LocationSettings, Timestamp};

use super::{Draft, Judge};
use crate::cell::{LIST_SEPARATORS, id};
use crate::kind::Field;
use crate::plan::{Change, Step};

impl<'a> Judge<'a> {
    pub(super) fn location(&mut self, draft: &mut Draft<'a>) {
        let cell = self.cell(draft.row, &Field::LocationId);
        draft.subject = cell.clone().into_owned();
        if cell.is_empty() {
            return self.fault(draft, &Field::LocationId, "missing_field", "is empty".into());
        }
        let location_id: LocationId = match id(&cell) {
            Ok(location_id) => location_id,
            Err(error) => {
                return self.fault(draft, &Field::LocationId, "invalid_value", format!("{error}"));
            }
        };
        self.only_once(draft, location_id.as_str(), "");
        let known = self.known;
        let now = known.location(&location_id);
        let folded = location_id.folded();
        let other = known.locations.iter().find(|other| other.location_id.folded() == folded);
        if let (None, Some(other)) = (now, other) {
            let detail = format!("{} is registered, and differs only by case", other.location_id);
            self.fault(draft, &Field::LocationId, "item_exists", detail);
        }
        let before = now.cloned().unwrap_or_else(|| LocationSettings {
            name: location_id.to_string(),
            location_id: location_id.clone(),
            ..LocationSettings::main()
        });
        let Some(after) = self.settings(draft, &before) else { return };
        if let Err(detail) = (self.may.manage)(&location_id, now.is_some()) {
            return self.fault(draft, &Field::LocationId, "forbidden", detail);
        }
        draft.creates = now.is_none();
        if now.is_some() {
            draft.changes = differences(&before, &after);
            if draft.changes.is_empty() {
                return;
            }
        }
        draft.steps.push(Step::Location(Box::new(after)));
    }

    /// Returns the settings that the line asks for; an empty cell keeps what is set.
    fn settings(&self, draft: &mut Draft<'a>, before: &LocationSettings) -> Option<LocationSettings> {
        let mut after = before.clone();
        let name = self.cell(draft.row, &Field::Name);
        if !name.is_empty() {
            if !LocationSettings::is_name(&name) {
                let detail =
                    format!("must be 1 to {} characters without control characters", LocationSettings::MAX_NAME_CHARS);
                self.fault(draft, &Field::Name, "invalid_value", detail);
            }
            after.name = name.into_owned();
        }
        let zone = self.cell(draft.row, &Field::TimeZone);
        if !zone.is_empty() {
            if !Timestamp::knows_zone(&zone) {
                let detail = "is not an IANA time zone such as Europe/Berlin".into();
                self.fault(draft, &Field::TimeZone, "invalid_value", detail);
            }
            after.time_zone = zone.into_owned();
        }
        let emails = self.cell(draft.row, &Field::AlertEmails);
        if !emails.is_empty() {
            let list = emails.split(LIST_SEPARATORS).map(str::trim).filter(|email| !email.is_empty());
            after.alert_emails = list.map(str::to_owned).collect();
            for email in after.alert_emails.iter().filter(|email| !LocationSettings::is_email(email)) {
                self.fault(draft, &Field::AlertEmails, "invalid_value", format!("{email} is no mail address"));
            }
            if after.alert_emails.len() > LocationSettings::MAX_ALERT_EMAILS {
                let detail = format!("may have at most {} addresses", LocationSettings::MAX_ALERT_EMAILS);
                self.fault(draft, &Field::AlertEmails, "invalid_value", detail);
            }
        }
        match self.cell(draft.row, &Field::Closed).to_lowercase().as_str() {
            "" => {}
            "true" | "yes" | "1" => after.closed = true,
            "false" | "no" | "0" => after.closed = false,
            _ => self.fault(draft, &Field::Closed, "invalid_value", "must be true or false".into()),
        }
        draft.faults.is_empty().then_some(after)
    }
}

fn differences(before: &LocationSettings, after: &LocationSettings) -> Vec<Change> {
    let emails = |settings: &LocationSettings| settings.alert_emails.join(";");
    [
        ("name", before.name.clone(), after.name.clone()),
        ("time_zone", before.time_zone.clone(), after.time_zone.clone()),
        ("alert_emails", emails(before), emails(after)),
        ("closed", before.closed.to_string(), after.closed.to_string()),
    ]
    .into_iter()
    .filter(|(_, from, to)| from != to)
    .map(|(field, from, to)| Change { field, location_id: None, from: Some(from), to: Some(to) })
    .collect()
}
